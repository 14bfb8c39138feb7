//! What somebody typed, in the grammar of RabbitMQ's command line: words and options in any order, options
//! before the command or behind it, `-p` for `--vhost`.
//!
//! A room of `ctl`. Knows every option of every command, as data; which of them a command takes, the
//! table of commands says. Stays true: what is not known is named, not passed over.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction};

/// An option of some command.
struct Known {
    long: &'static str,
    short: Option<char>,
    /// What its value is called, if it has one.
    value: Option<&'static str>,
    /// Whether every command takes it.
    is_global: bool,
}

const fn flag(long: &'static str, short: Option<char>) -> Known {
    Known { long, short, value: None, is_global: false }
}

const fn value(long: &'static str, short: Option<char>, value: &'static str) -> Known {
    Known { long, short, value: Some(value), is_global: false }
}

const fn global(known: Known) -> Known {
    Known { is_global: true, ..known }
}

/// Those that mean nothing here are taken because scripts have them: names of nodes, cookies.
const OPTIONS: &[Known] = &[
    global(value("node", Some('n'), "node")),
    global(flag("quiet", Some('q'))),
    global(flag("silent", Some('s'))),
    global(value("vhost", Some('p'), "vhost")),
    global(value("timeout", Some('t'), "seconds")),
    global(flag("longnames", Some('l'))),
    global(value("formatter", None, "table|pretty_table|csv|json|string")),
    global(value("printer", None, "stdio|stdio_raw|file")),
    global(value("file", Some('f'), "file")),
    global(value("erlang-cookie", None, "cookie")),
    global(value("script-name", None, "name")),
    global(flag("print-stacktrace", None)),
    global(flag("table-headers", None)),
    global(flag("no-table-headers", None)),
    global(flag("dry-run", None)),
    global(flag("help", Some('?'))),
    global(flag("version", None)),
    global(value("url", None, "http://user:password@host:15672")),
    global(value("socket", None, "file")),
    global(value("data-dir", None, "directory")),
    global(value("config", None, "file")),
    value("priority", None, "number"),
    value("apply-to", None, "queues|exchanges|all|..."),
    value("description", None, "text"),
    value("tags", None, "tag,tag"),
    value("default-queue-type", None, "classic|quorum"),
    value("user", None, "user"),
    value("limit", None, "number"),
    value("per-connection-delay", None, "milliseconds"),
    value("format", None, "json"),
    flag("skip-if-unchanged", None),
    flag("pre-hashed-password", None),
    flag("global", None),
    flag("if-empty", Some('e')),
    flag("if-unused", Some('u')),
    flag("prune", None),
    flag("online", None),
    flag("offline", None),
    flag("local", None),
    flag("all", None),
    flag("enabled", Some('E')),
    flag("minimal", Some('m')),
    flag("verbose", Some('v')),
    flag("opt-in", None),
    flag("experimental", None),
    value("algorithm", None, "name"),
    value("count", None, "number"),
    value("cursor", None, "cursor"),
    value("state", None, "ready|unacked|delayed"),
    value("key", None, "routing key"),
    value("key-regex", None, "regular expression"),
    value("header", None, "name=value,..."),
    value("text", None, "text"),
    value("older-than", None, "seconds"),
    value("newer-than", None, "seconds"),
    value("rate", None, "messages/s"),
    value("unit", None, "unit"),
];

/// See the module documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// All that is no option, the command first.
    pub words: Vec<String>,
    options: BTreeMap<&'static str, String>,
}

impl Line {
    /// Reads what follows the program's name.
    ///
    /// # Errors
    /// The option that nobody knows, or that wants a value.
    pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let matches = parser().try_get_matches_from(arguments).map_err(|error| mistaken(&error))?;
        let words = matches.get_many::<String>(WORDS).unwrap_or_default().cloned().collect();
        let mut options = BTreeMap::new();
        for Known { long, value, .. } in OPTIONS {
            let given = match value {
                Some(_) => matches.get_one::<String>(long).cloned(),
                None => matches.get_flag(long).then(String::new),
            };
            options.extend(given.map(|given| (*long, given)));
        }
        Ok(Self { words, options })
    }

    /// Whether an option is there.
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    /// The value of an option.
    pub(super) fn value(&self, option: &str) -> Option<&str> {
        self.options.get(option).map(String::as_str)
    }

    /// The options that are not for every command, and not among these.
    pub(super) fn beside(&self, allowed: &[&str]) -> Vec<&'static str> {
        let own = OPTIONS.iter().filter(|known| !known.is_global).map(|known| known.long);
        own.filter(|long| self.has(long) && !allowed.contains(long)).collect()
    }
}

/// An option as usage shows it.
pub(super) fn shown(option: &str) -> String {
    let known = OPTIONS.iter().find(|known| known.long == option);
    match known.and_then(|known| known.value) {
        Some(value) => format!("[--{option} <{value}>]"),
        None => format!("[--{option}]"),
    }
}

/// The long names of all options.
pub(super) fn long_names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|known| known.long)
}

const WORDS: &str = "words";

fn parser() -> clap::Command {
    let options = OPTIONS.iter().map(|known| {
        let mut arg = Arg::new(known.long).long(known.long);
        if let Some(short) = known.short {
            arg = arg.short(short);
        }
        match known.value {
            Some(_) => {
                arg.action(ArgAction::Set).overrides_with(known.long).allow_hyphen_values(true)
            }
            None => arg.action(ArgAction::SetTrue).overrides_with(known.long),
        }
    });
    let words = Arg::new(WORDS).action(ArgAction::Append).num_args(0..);
    clap::Command::new("ctl")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .no_binary_name(true)
        .args(options)
        .arg(words)
}

fn mistaken(error: &clap::Error) -> String {
    let invalid = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(invalid)) => invalid.split(' ').next().unwrap_or_default(),
        Some(_) | None => "",
    };
    match error.kind() {
        ErrorKind::UnknownArgument => format!("Invalid options for this command: {invalid}"),
        _ => format!("Invalid value for option {invalid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Line, String> {
        Line::parse(text.split(' ').map(OsString::from))
    }

    #[test]
    fn the_options_are_consistent() {
        parser().debug_assert();
    }

    #[test]
    fn options_stand_anywhere_and_have_several_names() {
        let expected = line("set_permissions bob a b c --vhost v -q").unwrap();
        assert_eq!(expected.words, ["set_permissions", "bob", "a", "b", "c"]);
        assert_eq!((expected.value("vhost"), expected.has("quiet")), (Some("v"), true));
        for same in [
            "-q -p v set_permissions bob a b c",
            "set_permissions -p v bob -q a b c",
            "set_permissions bob a --vhost=v b c --quiet",
            "-p w set_permissions bob a b c -p v -q",
        ] {
            assert_eq!(line(same).as_ref(), Ok(&expected), "{same}");
        }
        let words = line("add_user bob -- -secret").unwrap().words;
        assert_eq!(words, ["add_user", "bob", "-secret"]);
    }

    #[test]
    fn what_nobody_knows_is_named_and_what_a_command_does_not_take_is_told() {
        assert_eq!(line("ping --foo").unwrap_err(), "Invalid options for this command: --foo");
        assert!(line("list_queues -p").unwrap_err().starts_with("Invalid value for option"));
        let line = line("set_policy a b c --priority 5 -q --global").unwrap();
        assert_eq!(line.beside(&["priority"]), ["global"]);
        assert_eq!(shown("priority"), "[--priority <number>]");
    }
}
