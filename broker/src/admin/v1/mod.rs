//! The grammar of the first rabbitmqadmin, the program in Python that came with RabbitMQ up to 4.2: an action,
//! an object, `name=value`.
//!
//! A room of `admin`. `objects` has what there is, `formats` how lists are printed. Stays true: what it
//! prints and its exit codes are those of 3.10's; a mistake ends with 1, an option that nobody knows with 2.

mod formats;
mod objects;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::{Map, Value, json};

use self::formats::{Format, Listed, shown};
use self::objects::{
    CLOSABLE, DECLARABLE, DELETABLE, GET, LISTABLE, Listable, Object, PUBLISH, PURGABLE, SHOWABLE,
};
use super::target::{Target, section};
use super::{Ended, Said};
use crate::ctl::client::{Client, segment};
use crate::ctl::failure::Failed;

/// How long an answer may take unless somebody says.
const PATIENCE: Duration = Duration::from_secs(120);
/// The version of the program whose grammar this is.
const VERSION: &str = "rabbitmqadmin 3.10.8";

/// Carries out what follows the name of the program.
pub(super) fn run(
    arguments: &[OsString],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Said, Ended> {
    let matches = parser().try_get_matches_from(arguments).map_err(|error| misread(&error))?;
    if matches.get_flag("version") {
        return Ok(Some(VERSION.to_owned()));
    }
    let words: Vec<String> = matches.get_many(WORDS).unwrap_or_default().cloned().collect();
    let target = target(&matches, environment)?;
    let format = text(&matches, "format").unwrap_or_else(|| "table".to_owned());
    let parsed = Format::parse(&format);
    let admin = Admin {
        format: parsed.ok_or_else(|| usage(format!("Format {format} not recognised")))?,
        is_verbose: !matches.get_flag("quiet"),
        depth: text(&matches, "depth"),
        sort: text(&matches, "sort"),
        is_reversed: matches.get_flag("sort-reverse"),
        client: target.client(PATIENCE).map_err(|failed| die(&reason(&failed)))?,
        prefix: target.path_prefix.clone().unwrap_or_default(),
        target,
    };
    let (action, words) = words.split_first().ok_or_else(|| usage("Action not specified"))?;
    admin.act(action, words)
}

const WORDS: &str = "words";

fn parser() -> clap::Command {
    let value = |long: &'static str, short: Option<char>| {
        let arg = Arg::new(long).long(long).action(ArgAction::Set).overrides_with(long);
        let arg = arg.allow_hyphen_values(true);
        if let Some(short) = short { arg.short(short) } else { arg }
    };
    let flag = |long: &'static str, short: Option<char>| {
        let arg = Arg::new(long).long(long).action(ArgAction::SetTrue).overrides_with(long);
        if let Some(short) = short { arg.short(short) } else { arg }
    };
    clap::Command::new("rabbitmqadmin")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .args([
            value("config", Some('c')),
            value("node", Some('N')),
            value("host", Some('H')),
            value("port", Some('P')),
            value("path-prefix", None),
            value("vhost", Some('V')),
            value("username", Some('u')),
            value("password", Some('p')),
            value("base-uri", Some('U')),
            flag("quiet", Some('q')),
            flag("ssl", Some('s')),
            value("ssl-key-file", None),
            value("ssl-cert-file", None),
            value("ssl-ca-cert-file", None),
            flag("ssl-disable-hostname-verification", None),
            flag("ssl-insecure", Some('k')),
            value("request-timeout", Some('t')),
            value("format", Some('f')),
            value("sort", Some('S')),
            flag("sort-reverse", Some('R')),
            value("depth", Some('d')),
            flag("version", None),
            Arg::new(WORDS).action(ArgAction::Append).num_args(0..),
        ])
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

/// An option that nobody knows, or that wants a value: in optparse's words.
fn misread(error: &clap::Error) -> Ended {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.split(' ').next().unwrap_or_default(),
        Some(_) | None => "",
    };
    let what = match error.kind() == ErrorKind::UnknownArgument {
        true => format!("no such option: {option}"),
        false => format!("{option} option requires 1 argument"),
    };
    let head = "Usage\n=====\n  rabbitmqadmin [options] subcommand\n";
    Ended { text: format!("{head}\nrabbitmqadmin: error: {what}"), code: 2 }
}

/// What was typed makes no sense.
fn usage(what: impl AsRef<str>) -> Ended {
    let text = format!("\nERROR: {}\n\nrabbitmqadmin --help for help\n", what.as_ref());
    Ended { text, code: 1 }
}

/// The broker says no, or nothing.
fn die(what: &str) -> Ended {
    Ended { text: format!("*** {what}\n"), code: 1 }
}

fn reason(failed: &Failed) -> String {
    match failed {
        Failed::Usage(text, _) | Failed::Refused(text, _) | Failed::Plain(text, _) => text.clone(),
    }
}

fn target(
    matches: &ArgMatches,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Target, Ended> {
    let flag = |name: &str| matches.get_flag(name);
    let timeout = text(matches, "request-timeout").map(|seconds| seconds.parse::<u64>());
    let said = Target {
        host: text(matches, "host"),
        port: text(matches, "port"),
        path_prefix: text(matches, "path-prefix"),
        vhost: text(matches, "vhost"),
        declare_vhost: None,
        username: text(matches, "username"),
        password: text(matches, "password"),
        with_tls: flag("ssl").then_some(true),
        authorities: text(matches, "ssl-ca-cert-file").map(PathBuf::from),
        is_insecure: flag("ssl-insecure") || flag("ssl-disable-hostname-verification"),
        timeout_seconds: timeout
            .transpose()
            .map_err(|_| usage("the request timeout is a number of seconds"))?,
    };
    let file = match text(matches, "config") {
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(_) => return Err(usage(format!("Could not read config file '{path}'"))),
        },
        None => environment("HOME").and_then(|home| {
            let path = format!("{home}/.rabbitmqadmin.conf");
            std::fs::read_to_string(&path).ok().map(|text| (path, text))
        }),
    };
    let node = text(matches, "node");
    let settings = match (file, node) {
        (None, _) => BTreeMap::new(),
        (Some((path, text)), node) => {
            let name = node.as_deref().unwrap_or("default");
            match (section(&text, name), &node) {
                (Some(settings), _) => settings,
                (None, None) => BTreeMap::new(),
                (None, Some(_)) if name == "default" => BTreeMap::new(),
                (None, Some(_)) => {
                    let what = format!("Could not read section '{name}' in config file '{path}'");
                    return Err(usage(what));
                }
            }
        }
    };
    let target = said.beside(&settings);
    Ok(match text(matches, "base-uri") {
        Some(uri) => target.with_uri(&uri),
        None => target,
    })
}

struct Admin {
    format: Format,
    is_verbose: bool,
    depth: Option<String>,
    sort: Option<String>,
    is_reversed: bool,
    client: Client,
    prefix: String,
    target: Target,
}

impl Admin {
    fn act(&self, action: &str, words: &[String]) -> Result<Said, Ended> {
        match action {
            "list" => self.list(words, LISTABLE, "list"),
            "show" => self.list(words, SHOWABLE, "show"),
            "declare" => self.declare(words),
            "delete" => self.done("DELETE", words, DELETABLE, "deleted"),
            "close" => self.done("DELETE", words, CLOSABLE, "closed"),
            "purge" => self.done("DELETE", words, PURGABLE, "purged"),
            "publish" => self.publish(words),
            "get" => self.get(words),
            "export" => self.export(words),
            "import" => self.import(words),
            _ => Err(usage(format!("Action {action} not understood"))),
        }
    }

    fn verbose(&self, text: impl Into<String>) -> Said {
        self.is_verbose.then(|| text.into())
    }

    /// Asks; the answer's body.
    fn ask(&self, method: &str, path: &str, body: Option<&[u8]>) -> Result<String, Ended> {
        let answered = self.client.ask(method, path, body);
        let answer = answered.map_err(|error| die(&format!("Could not connect: {error}")))?;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let place = format!("{}/api{path}", self.prefix);
        match answer.status {
            400 => {
                let told: Value = serde_json::from_str(&body).unwrap_or_default();
                let reason = told.get("reason").cloned().unwrap_or_default();
                Err(die(reason.as_str().unwrap_or(&reason.to_string())))
            }
            401 => Err(die(&format!("Access refused: {place}"))),
            404 => Err(die(&format!("Not found: {place}"))),
            status if status > 400 => {
                Err(die(&format!("Received response {status} for path {place}\n{body}")))
            }
            _ => Ok(body),
        }
    }

    fn list(&self, words: &[String], all: &[Listable], verb: &str) -> Result<Said, Ended> {
        let (name, columns) = words.split_first().ok_or_else(|| usage("Type not specified"))?;
        let listable = all.iter().find(|one| one.name == name);
        let listable = listable.ok_or_else(|| usage(format!("Don't know how to {verb} {name}")))?;
        let mut path = format!("/{}", name.replace('_', "-"));
        if let Some(vhost) = self.target.vhost.as_deref().filter(|_| listable.of_vhost) {
            path = format!("{path}/{}", segment(vhost));
        }
        let mut columns = columns.to_vec();
        if columns.is_empty() && self.depth.is_none() && !self.format.is_json() {
            columns = listable.columns.iter().map(|name| (*name).to_owned()).collect();
        }
        let mut query = Vec::new();
        if !columns.is_empty() {
            query.push(format!("columns={}", columns.join(",")));
        }
        query.extend(self.sort.as_ref().map(|sort| format!("sort={sort}")));
        query.extend(self.is_reversed.then(|| "sort_reverse=true".to_owned()));
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let answer = self.ask("GET", &path, None)?;
        let answer = if verb == "show" { format!("[{answer}]") } else { answer };
        Ok(self.shown(&answer, columns, listable.json))
    }

    fn shown(&self, answer: &str, columns: Vec<String>, json: &[&str]) -> Said {
        let depth = self.depth.as_ref().and_then(|depth| depth.parse().ok()).unwrap_or(1);
        let listed = Listed { answer, columns, json, depth, is_verbose: self.is_verbose };
        shown(&listed, self.format)
    }

    fn declare(&self, words: &[String]) -> Result<Said, Ended> {
        let (object, words) = object(words, DECLARABLE)?;
        let (path, mut upload) = self.parse(words, object)?;
        if let Some(kind) = upload.get("queue_type").cloned() {
            let arguments = upload.entry("arguments").or_insert_with(|| json!({}));
            if let Some(arguments) = arguments.as_object_mut() {
                arguments.insert("x-queue-type".to_owned(), kind);
            }
        }
        let method = if object.name == "binding" { "POST" } else { "PUT" };
        self.ask(method, &path, Some(Value::Object(upload).to_string().as_bytes()))?;
        Ok(self.verbose(format!("{} declared", object.name)))
    }

    fn done(
        &self,
        method: &str,
        words: &[String],
        all: &'static [Object],
        what: &str,
    ) -> Result<Said, Ended> {
        let (object, words) = object(words, all)?;
        let (path, _) = self.parse(words, object)?;
        self.ask(method, &path, None)?;
        Ok(self.verbose(format!("{} {what}", object.name)))
    }

    fn publish(&self, words: &[String]) -> Result<Said, Ended> {
        let (path, mut upload) = self.parse(words, &PUBLISH)?;
        if !upload.contains_key("payload") {
            let mut payload = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut payload);
            read.map_err(|error| die(&error.to_string()))?;
            upload.insert("payload".to_owned(), STANDARD.encode(payload).into());
            upload.insert("payload_encoding".to_owned(), "base64".into());
        }
        let answer = self.ask("POST", &path, Some(Value::Object(upload).to_string().as_bytes()))?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        Ok(self.verbose(match answer.get("routed") == Some(&Value::Bool(true)) {
            true => "Message published",
            false => "Message published but NOT routed",
        }))
    }

    fn get(&self, words: &[String]) -> Result<Said, Ended> {
        let (path, upload) = self.parse(words, &GET)?;
        let file = upload.get("payload_file").and_then(Value::as_str).map(PathBuf::from);
        if file.is_some() && upload.get("count") != Some(&"1".into()) {
            return Err(usage("Cannot get multiple messages using payload_file"));
        }
        let answer = self.ask("POST", &path, Some(Value::Object(upload).to_string().as_bytes()))?;
        let Some(file) = file else { return Ok(self.shown(&answer, Vec::new(), &[])) };
        let messages: Value = serde_json::from_str(&answer).unwrap_or_default();
        let message = messages.get(0).cloned().unwrap_or_default();
        let payload = message.get("payload").and_then(Value::as_str).unwrap_or_default();
        let payload = match message.get("payload_encoding").and_then(Value::as_str) {
            Some("base64") => STANDARD.decode(payload).unwrap_or_default(),
            Some(_) | None => payload.as_bytes().to_vec(),
        };
        std::fs::write(&file, payload)
            .map_err(|error| die(&format!("{}: {error}", file.display())))?;
        let columns = ["routing_key", "exchange", "message_count", "payload_bytes", "redelivered"];
        Ok(self.shown(&answer, columns.map(str::to_owned).to_vec(), &[]))
    }

    fn definitions(&self) -> String {
        match &self.target.vhost {
            Some(vhost) => format!("/definitions/{}", segment(vhost)),
            None => "/definitions".to_owned(),
        }
    }

    fn export(&self, words: &[String]) -> Result<Said, Ended> {
        let [file] = words else { return Err(usage("Exactly one argument required")) };
        let answer = self.ask("GET", &self.definitions(), None)?;
        std::fs::write(file, answer).map_err(|error| die(&format!("{file}: {error}")))?;
        let host = self.target.host();
        Ok(self.verbose(format!("Exported definitions for {host} to \"{file}\"")))
    }

    fn import(&self, words: &[String]) -> Result<Said, Ended> {
        let [file] = words else { return Err(usage("Exactly one argument required")) };
        let body = std::fs::read(file).map_err(|error| die(&format!("{file}: {error}")))?;
        self.ask("POST", &self.definitions(), Some(&body))?;
        let host = self.target.host();
        // Which is which, the program in Python mixes up, too.
        Ok(self.verbose(format!(
            "Uploaded definitions from \"{host}\" to {file}. The import process may take some time. \
             Consult server logs to track progress."
        )))
    }

    /// The path, and what is sent.
    fn parse(
        &self,
        words: &[String],
        object: &Object,
    ) -> Result<(String, Map<String, Value>), Ended> {
        let mut upload = Map::new();
        for (name, default) in object.optional {
            if let Ok(value) = serde_json::from_str(default) {
                upload.insert((*name).to_owned(), value);
            }
        }
        for word in words {
            let pair = word.split_once('=');
            let not = || usage(format!("Argument \"{word}\" not in the name=value format"));
            let (name, value) = pair.ok_or_else(not)?;
            let mut mandatory = object.mandatory.iter().flat_map(|one| one.split('|'));
            let is_known = mandatory.any(|known| known == name)
                || object.optional.iter().any(|(known, _)| *known == name);
            if !is_known {
                return Err(usage(format!("Argument \"{name}\" is not recognised")));
            }
            let value = match object.json.contains(&name) {
                true => serde_json::from_str(value).map_err(|_| Ended {
                    text: format!("ERROR: Could not parse JSON:\n  {value}"),
                    code: 1,
                })?,
                false => Value::from(value),
            };
            upload.insert(name.to_owned(), value);
        }
        for names in object.mandatory {
            if !names.split('|').any(|name| upload.contains_key(name)) {
                return Err(usage(missing(names)));
            }
        }
        if !object.mandatory.contains(&"vhost") {
            let vhost = self.target.vhost.as_ref().or(self.target.declare_vhost.as_ref());
            upload.insert("vhost".to_owned(), vhost.map_or("/", String::as_str).into());
        }
        Ok((filled(object.path, &upload), upload))
    }
}

fn missing(names: &str) -> String {
    match names.contains('|') {
        true => {
            let names: Vec<_> = names.split('|').map(|name| format!("'{name}'")).collect();
            format!("one of mandatory arguments \"[{}]\" is required", names.join(", "))
        }
        false => format!("mandatory argument \"{names}\" is required"),
    }
}

fn object<'a>(
    words: &'a [String],
    all: &'static [Object],
) -> Result<(&'static Object, &'a [String]), Ended> {
    let (name, words) = words.split_first().ok_or_else(|| usage("Type not specified"))?;
    let object = all.iter().find(|object| object.name == name);
    object.map(|object| (object, words)).ok_or_else(|| usage(format!("Type {name} not recognised")))
}

/// A path with what is in braces replaced.
fn filled(path: &str, upload: &Map<String, Value>) -> String {
    let mut filled = path.to_owned();
    for (name, value) in upload {
        if let Some(text) = value.as_str() {
            filled = filled.replace(&format!("{{{name}}}"), &segment(text));
        }
    }
    let kind = upload.get("destination_type").and_then(Value::as_str).unwrap_or_default();
    filled.replace("{destination_char}", kind.get(..1).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(line: &str) -> Ended {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        run(&words, |_| None).unwrap_err()
    }

    #[test]
    fn mistakes_are_told_as_the_program_in_python_tells_them() {
        for (line, what) in [
            ("sing", "Action sing not understood"),
            ("declare", "Type not specified"),
            ("declare song name=x", "Type song not recognised"),
            ("declare queue", "mandatory argument \"name\" is required"),
            ("declare queue name=x foo=y", "Argument \"foo\" is not recognised"),
            ("declare queue x", "Argument \"x\" not in the name=value format"),
            (
                "declare user name=x tags=",
                "one of mandatory arguments \"['password', 'password_hash']\" is required",
            ),
            ("list songs", "Don't know how to list songs"),
            ("export", "Exactly one argument required"),
            ("-f xml list queues", "Format xml not recognised"),
        ] {
            let ended = ended(line);
            let expected = format!("\nERROR: {what}\n\nrabbitmqadmin --help for help\n");
            assert_eq!((ended.text, ended.code), (expected, 1), "{line}");
        }
        let json = ended("declare queue name=x arguments={");
        assert_eq!((json.text.as_str(), json.code), ("ERROR: Could not parse JSON:\n  {", 1));
        let option = ended("--nothing list queues");
        assert!(option.text.ends_with("error: no such option: --nothing"), "{option:?}");
        assert_eq!(option.code, 2);
    }

    #[test]
    fn paths_are_filled() {
        let upload = json!({"vhost": "/", "source": "a b", "destination": "q",
            "destination_type": "queue", "properties_key": "~"});
        let path = "/bindings/{vhost}/e/{source}/{destination_char}/{destination}/{properties_key}";
        let filled = filled(path, upload.as_object().unwrap());
        assert_eq!(filled, "/bindings/%2F/e/a%20b/q/q/~");
    }

    #[test]
    fn the_options_are_consistent() {
        parser().debug_assert();
    }
}
