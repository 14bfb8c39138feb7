//! The grammar of the second rabbitmqadmin, the program in Rust that comes with RabbitMQ 4.3: a group, a
//! verb, `--options`.
//!
//! A room of `admin`. `commands` and `more` have what there is, `acts` what is more than a question, `policies`
//! what is done to many of them, `node` what a node uses, `transforming` definitions on their way out,
//! `completing` shells, `table` the styles.
//! Stays true: exit codes are that program's (2 for what was mistyped, 64 and 65 for what cannot be used, 69
//! for a check that failed), and what it says; what is not here it does not know.

mod acts;
mod commands;
mod completing;
mod more;
mod node;
mod policies;
mod table;
mod transforming;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches};
use serde_json::Value;

use self::commands::{Act, COMMANDS, Column, Command, Kind, Opt};
use self::more::MORE;
use self::table::{Style, drawn};
use super::target::{Target, section};
use super::{Ended, Said};
use crate::ctl::client::{Client, segment};
use crate::ctl::failure::Failed;

/// How long an answer may take unless somebody says.
const PATIENCE: Duration = Duration::from_secs(60);
/// The version of the program whose grammar this is.
const VERSION: &str = "rabbitmqadmin 2.29.0";
const MISTYPED: u8 = 2;
const USAGE: u8 = 64;
const DATA: u8 = 65;
const UNAVAILABLE: u8 = 69;

/// Every command there is.
fn all() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().chain(MORE)
}

/// Whether a word begins a command of this grammar.
pub(super) fn is_group(word: &str) -> bool {
    all().any(|command| command.names.iter().any(|(group, _)| *group == word))
}

/// Whether two words are a command of this grammar.
pub(super) fn is_command(group: &str, verb: &str) -> bool {
    find(group, verb).is_some()
}

/// All commands, a line for each group.
pub(super) fn listed() -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (group, verb) in all().flat_map(|command| command.names) {
        groups.entry(group).or_default().push(verb);
    }
    let line = |(group, verbs): (&&str, &Vec<&str>)| format!("  {group} {}", verbs.join("|"));
    groups.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn find(group: &str, verb: &str) -> Option<&'static Command> {
    all().find(|command| command.names.contains(&(group, verb)))
}

/// Carries out what follows the name of the program.
pub(super) fn run(
    arguments: &[OsString],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Said, Ended> {
    let matches = parser().try_get_matches_from(arguments).map_err(|error| Ended {
        text: error.to_string().trim_end().to_owned(),
        code: u8::try_from(error.exit_code()).unwrap_or(MISTYPED),
    });
    let matches = match matches {
        // Help that was asked for.
        Err(Ended { text, code: 0 }) => return Ok(Some(text)),
        matches => matches?,
    };
    if matches.get_flag("version") {
        return Ok(Some(VERSION.to_owned()));
    }
    let (group, within) = matches.subcommand().unwrap_or(("", &matches));
    let (verb, own) = within.subcommand().unwrap_or(("", within));
    let Some(command) = find(group, verb) else {
        let text = format!("error: '{group}' wants a command behind it, see 'rabbitmqadmin help'");
        return Err(Ended { text, code: MISTYPED });
    };
    let target = target(&matches, own, &environment)?;
    let client = target.client(PATIENCE).map_err(|failed| of_failure(&failed))?;
    let style =
        match flag(own, "non-interactive", &environment, "RABBITMQADMIN_NON_INTERACTIVE_MODE") {
            true => Style::Plain,
            false => {
                let named = text(own, "table-style");
                let named = named.or_else(|| environment("RABBITMQADMIN_TABLE_STYLE"));
                Style::parse(named.as_deref().unwrap_or("modern"))
            }
        };
    Call { command, own, client, target, style }.act()
}

fn parser() -> clap::Command {
    let mut parser = clap::Command::new("rabbitmqadmin")
        .no_binary_name(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .subcommand_required(false)
        .args(globals());
    let mut groups: Vec<&str> = Vec::new();
    for (group, _) in all().flat_map(|command| command.names) {
        if !groups.contains(group) {
            groups.push(group);
        }
    }
    for group in groups {
        let mut within = clap::Command::new(group).subcommand_required(true);
        for command in all() {
            for (_, verb) in command.names.iter().filter(|(of, _)| *of == group) {
                let options = command.options.iter().map(arg);
                within = within.subcommand(clap::Command::new(*verb).args(options));
            }
        }
        parser = parser.subcommand(within);
    }
    parser
}

fn globals() -> Vec<Arg> {
    // Those of the broker that is asked have other ids than those of the same name behind a command.
    let of_target = |id: &'static str, long: &'static str, short: Option<char>| {
        let arg = Arg::new(id).long(long).action(ArgAction::Set);
        if let Some(short) = short { arg.short(short) } else { arg }
    };
    let value = |long, short| of_target(long, long, short);
    let flag = |long: &'static str, short: Option<char>| {
        let arg = Arg::new(long).long(long).action(ArgAction::SetTrue);
        if let Some(short) = short { arg.short(short) } else { arg }
    };
    let style = value("table-style", None).value_parser(Style::NAMES).global(true);
    vec![
        value("config", Some('c')),
        value("node", Some('N')),
        value("host", Some('H')),
        of_target("target-port", "port", Some('P')),
        value("base-uri", Some('U')),
        value("path-prefix", None),
        value("vhost", Some('V')).global(true),
        of_target("target-username", "username", Some('u')),
        of_target("target-password", "password", Some('p')),
        flag("insecure", Some('k')),
        flag("use-tls", None),
        value("tls-ca-cert-file", None),
        value("tls-cert-file", None),
        value("tls-key-file", None),
        value("timeout", None),
        flag("quiet", Some('q')),
        flag("verbose", Some('v')),
        flag("non-interactive", None).global(true),
        style,
        flag("version", None),
    ]
}

fn arg(opt: &Opt) -> Arg {
    let arg = Arg::new(opt.long);
    let arg = match opt.kind {
        Kind::Word => return arg.required(true),
        Kind::Flag => return arg.long(opt.long).action(ArgAction::SetTrue),
        Kind::Required => arg.required(true),
        Kind::Optional => arg,
        Kind::List => arg.num_args(1..).value_delimiter(','),
        Kind::Default(value) => arg.default_value(value),
    };
    let arg = arg.long(opt.long).action(ArgAction::Set);
    let arg = arg.allow_hyphen_values(opt.kind != Kind::List);
    if let Some(short) = opt.short { arg.short(short) } else { arg }
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

fn flag(
    matches: &ArgMatches,
    name: &str,
    environment: &impl Fn(&str) -> Option<String>,
    variable: &str,
) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default()
        || environment(variable).is_some_and(|value| value == "true" || value == "1")
}

fn target(
    matches: &ArgMatches,
    own: &ArgMatches,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Target, Ended> {
    let of = |name: &str, variable: &str| {
        text(matches, name).or_else(|| environment(variable)).filter(|value| !value.is_empty())
    };
    let timeout = of("timeout", "RABBITMQADMIN_TIMEOUT").map(|seconds| seconds.parse::<u64>());
    let timeout = timeout.transpose().map_err(|error| Ended {
        text: format!("error: invalid value for '--timeout <timeout>': {error}"),
        code: MISTYPED,
    })?;
    let said = Target {
        host: of("host", "RABBITMQADMIN_TARGET_HOST"),
        port: of("target-port", "RABBITMQADMIN_TARGET_PORT"),
        path_prefix: of("path-prefix", "RABBITMQADMIN_API_PATH_PREFIX")
            .map(|prefix| prefix.trim_end_matches("/api").to_owned()),
        vhost: text(own, "vhost").or_else(|| of("vhost", "RABBITMQADMIN_TARGET_VHOST")),
        declare_vhost: None,
        username: of("target-username", "RABBITMQADMIN_USERNAME"),
        password: of("target-password", "RABBITMQADMIN_PASSWORD"),
        with_tls: flag(matches, "use-tls", environment, "RABBITMQADMIN_USE_TLS").then_some(true),
        authorities: text(matches, "tls-ca-cert-file").map(PathBuf::from),
        is_insecure: matches.get_flag("insecure"),
        timeout_seconds: timeout,
    };
    let node = of("node", "RABBITMQADMIN_NODE_ALIAS").unwrap_or_else(|| "default".to_owned());
    let named = of("config", "RABBITMQADMIN_CONFIG_FILE_PATH");
    let path =
        named.or_else(|| environment("HOME").map(|home| format!("{home}/.rabbitmqadmin.conf")));
    let file = path.and_then(|path| std::fs::read_to_string(path).ok());
    let settings = file.and_then(|text| section(&text, &node)).unwrap_or_default();
    let target = said.beside(&settings);
    Ok(match of("base-uri", "RABBITMQADMIN_BASE_URI") {
        Some(uri) => target.with_uri(&uri),
        None => target,
    })
}

/// A command that somebody gave.
struct Call<'a> {
    command: &'static Command,
    own: &'a ArgMatches,
    client: Client,
    target: Target,
    style: Style,
}

impl Call<'_> {
    fn act(&self) -> Result<Said, Ended> {
        match self.command.act {
            Act::List(path, columns) => {
                let mut path = self.path(path);
                if let Some(page) = self.given("page") {
                    let size = self.given("page-size").unwrap_or("100");
                    path = format!("{path}?page={}&page_size={}", segment(page), segment(size));
                }
                let answer = self.get(&path)?;
                Ok(Some(self.list(answer.get("items").unwrap_or(&answer), columns)))
            }
            Act::Show(path, columns) => {
                let one = self.get(&self.path(path))?;
                Ok(Some(self.list(&Value::Array(vec![one]), columns)))
            }
            Act::Send(method, path) => match self.send(method, &self.path(path), None) {
                Err(ended) if ended == not_found() && self.has("idempotently") => Ok(None),
                done => done.map(|_| None),
            },
            Act::Health(path) => self.health(&self.path(path)),
            Act::Own(act) => act(self),
        }
    }

    /// The value of an option, or its default.
    fn value(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.own.try_get_one::<String>(name).ok().flatten().map(String::as_str)
    }

    /// All values of an option that may have several.
    fn values(&self, name: &str) -> Vec<&str> {
        let all = self.own.try_get_many::<String>(name).ok().flatten();
        all.into_iter().flatten().map(String::as_str).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.own.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default()
    }

    fn vhost(&self) -> &str {
        self.target.vhost.as_deref().unwrap_or("/")
    }

    /// The value of an option as JSON.
    fn json(&self, name: &str) -> Result<Value, Ended> {
        let text = self.value(name);
        serde_json::from_str(text).map_err(|error| Ended {
            text: format!("Failed to parse JSON argument: `{text}` is not a valid JSON: {error}"),
            code: DATA,
        })
    }

    /// A path with what is in braces replaced.
    fn path(&self, template: &str) -> String {
        let mut path = template.replace("{vhost}", &segment(self.vhost()));
        for opt in self.command.options {
            path = path.replace(&format!("{{{}}}", opt.long), &segment(self.value(opt.long)));
        }
        path
    }

    fn endpoint(&self) -> String {
        let scheme = if self.target.with_tls == Some(true) { "https" } else { "http" };
        let prefix = self.target.path_prefix.as_deref().unwrap_or_default();
        format!("{scheme}://{}{prefix}/api", self.client.server())
    }

    fn get(&self, path: &str) -> Result<Value, Ended> {
        self.send("GET", path, None)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Ended> {
        let body = body.map(Value::to_string);
        let answer = self.raw(method, path, body.as_deref().map(str::as_bytes))?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// Asks; the answer as it is.
    fn raw(&self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Vec<u8>, Ended> {
        let unreachable = |error: &dyn std::fmt::Display| Ended {
            text: format!("Encountered an error when performing an HTTP request: {error}"),
            code: DATA,
        };
        let answer = self.client.ask(method, path, body).map_err(|error| unreachable(&error))?;
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let reason = told.get("reason").and_then(Value::as_str).map(str::to_owned);
        let status = answer.status;
        let generic = |whose: &str| {
            format!("API responded with a {whose} error: status code of {}", named(status))
        };
        match status {
            200..=299 => Ok(answer.body),
            404 => Err(not_found()),
            400..=499 => {
                Err(Ended { text: reason.unwrap_or_else(|| generic("client")), code: DATA })
            }
            _ => {
                Err(Ended { text: reason.unwrap_or_else(|| generic("server")), code: UNAVAILABLE })
            }
        }
    }

    fn health(&self, path: &str) -> Result<Said, Ended> {
        let answer =
            self.client.ask("GET", path, None).map_err(|error| of_failure(&error.into()))?;
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == 200 {
            return Ok(Some("health check passed".to_owned()));
        }
        let mut pairs = vec![
            ("result", "health check failed".to_owned()),
            ("path", path.trim_start_matches('/').to_owned()),
            ("status_code", named(answer.status)),
            ("reason", cell(&told, "reason")),
        ];
        if let Some(port) = self.given("port") {
            pairs.push(("inactive port", port.to_owned()));
        }
        if let Some(protocol) = self.given("protocol") {
            pairs.push(("inactive protocols", protocol.to_owned()));
        }
        // It is printed where an answer is, and still ends with a code.
        super::print(&self.pairs(&pairs));
        Err(Ended { text: String::new(), code: UNAVAILABLE })
    }

    /// Objects as a table, with the columns that somebody wants.
    fn list(&self, objects: &Value, columns: &[Column]) -> String {
        let named = |name: &str| columns.iter().find(|(known, _)| *known == name.trim());
        let columns: Vec<&Column> = match self.given("columns") {
            Some(names) => names.split(',').filter_map(named).collect(),
            None => columns.iter().collect(),
        };
        let names: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let objects = objects.as_array().map(Vec::as_slice).unwrap_or_default();
        let row = |object: &Value| columns.iter().map(|(_, from)| cell(object, from)).collect();
        drawn(&names, &objects.iter().map(row).collect::<Vec<_>>(), self.style)
    }

    /// Names and values.
    fn pairs(&self, pairs: &[(&str, String)]) -> String {
        self.named_pairs(("key", "value"), pairs)
    }

    /// Names and values, under these heads.
    fn named_pairs(&self, heads: (&str, &str), pairs: &[(&str, String)]) -> String {
        let rows: Vec<Vec<String>> =
            pairs.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
        drawn(&[heads.0.to_owned(), heads.1.to_owned()], &rows, self.style)
    }
}

/// What an object has for a column (see `Column`).
fn cell(object: &Value, from: &str) -> String {
    let path = from.trim_start_matches(['0', '*', '!']).trim_end_matches('+');
    let found = path.split('.').try_fold(object, |within, name| within.get(name));
    let end = if from.ends_with('+') { "\n" } else { "" };
    match found {
        None | Some(Value::Null) if from.starts_with('0') => "0".to_owned(),
        None | Some(Value::Null) => String::new(),
        Some(value) if from.starts_with('!') => format!("{value}{end}"),
        Some(Value::String(text)) => format!("{text}{end}"),
        Some(Value::Array(values)) => {
            let texts = values.iter().map(|value| value.as_str().unwrap_or_default());
            match from.starts_with('*') {
                true => texts.map(|text| format!("* {text}")).collect::<Vec<_>>().join("\n"),
                false => texts.collect::<Vec<_>>().join(", "),
            }
        }
        Some(Value::Object(members)) => {
            let lines = members.iter().map(|(name, value)| format!("{name}: {value}"));
            let lines = lines.collect::<Vec<_>>().join("\n");
            if members.is_empty() { lines } else { lines + end }
        }
        Some(Value::Number(number)) if number.is_f64() => {
            number.as_f64().unwrap_or_default().to_string()
        }
        Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
    }
}

fn not_found() -> Ended {
    Ended { text: "API responded with a 404 Not Found".to_owned(), code: DATA }
}

fn of_failure(failed: &Failed) -> Ended {
    match failed {
        Failed::Usage(text, _) | Failed::Refused(text, _) | Failed::Plain(text, _) => {
            Ended { text: text.clone(), code: DATA }
        }
    }
}

/// A status with its name.
fn named(status: u16) -> String {
    let name = hyper::StatusCode::from_u16(status).ok();
    let name = name.and_then(|status| status.canonical_reason()).unwrap_or("Unknown");
    format!("{status} {name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(line: &str) -> Ended {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        run(&words, |_| None).unwrap_err()
    }

    #[test]
    fn the_options_are_consistent() {
        parser().debug_assert();
        for command in all() {
            assert!(command.names.iter().all(|(group, verb)| is_command(group, verb)));
        }
    }

    #[test]
    fn mistakes_end_as_those_of_the_program_do() {
        for line in ["queues", "queues sing", "queues declare", "queues list --foo", "sing"] {
            assert_eq!(ended(line).code, MISTYPED, "{line}");
        }
        let json = ended("queues declare --name q --arguments {");
        let text = "Failed to parse JSON argument: `{` is not a valid JSON: EOF while parsing an object at line 1 column 1";
        assert_eq!((json.text.as_str(), json.code), (text, DATA));
        assert_eq!(ended("declare user --name x").code, USAGE);
        assert!(
            matches!(run(&["--version".into()], |_| None), Ok(Some(version)) if version == VERSION)
        );
    }

    #[test]
    fn cells_are_as_the_program_writes_them() {
        let object = json!({"a": {"x": "y", "z": 5}, "t": ["m", "n"], "b": true, "e": {}, "f": 0.0,
            "s": "x"});
        for (from, expected) in [
            ("a", "x: \"y\"\nz: 5"),
            ("a+", "x: \"y\"\nz: 5\n"),
            ("!a+", "{\"x\":\"y\",\"z\":5}\n"),
            ("t", "m, n"),
            ("*t", "* m\n* n"),
            ("b", "true"),
            ("0none", "0"),
            ("f", "0"),
            ("s+", "x\n"),
            ("none", ""),
            ("e+", ""),
            ("a.z", "5"),
        ] {
            assert_eq!(cell(&object, from), expected, "{from}");
        }
    }
}
