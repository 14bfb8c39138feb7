//! Which of the two grammars somebody types.
//!
//! A room of `admin`. Pure. The words tell, and options where the words could be either's: `list queues` is
//! the first's unless an option of the second stands beside it, which says `queues list` else.

use std::ffi::OsString;

use super::v2;

/// Whose grammar it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// Somebody wants to know what there is.
    Help,
    /// `declare queue name=q`.
    First,
    /// `queues declare --name q`.
    Second,
}

/// Options of either that have a value, so that it is not taken for a word.
const WITH_VALUE: [&str; 35] = [
    "-c",
    "-N",
    "-H",
    "-P",
    "-V",
    "-u",
    "-p",
    "-U",
    "-t",
    "-f",
    "-S",
    "-d",
    "--config",
    "--node",
    "--host",
    "--port",
    "--path-prefix",
    "--vhost",
    "--username",
    "--password",
    "--base-uri",
    "--ssl-key-file",
    "--ssl-cert-file",
    "--ssl-ca-cert-file",
    "--request-timeout",
    "--format",
    "--sort",
    "--depth",
    "--tls-ca-cert-file",
    "--tls-cert-file",
    "--tls-key-file",
    "--timeout",
    "--table-style",
    "--columns",
    "--component",
];
/// Options that only the first has, or only the second.
const OF_FIRST: [&str; 14] = [
    "-f",
    "--format",
    "-S",
    "--sort",
    "-R",
    "--sort-reverse",
    "-d",
    "--depth",
    "-s",
    "--ssl",
    "-t",
    "--request-timeout",
    "--ssl-insecure",
    "--ssl-ca-cert-file",
];
const OF_SECOND: [&str; 13] = [
    "--non-interactive",
    "--table-style",
    "--use-tls",
    "--insecure",
    "--tls-ca-cert-file",
    "--tls-cert-file",
    "--tls-key-file",
    "--timeout",
    "--columns",
    "--page",
    "--page-size",
    "--idempotently",
    "--component",
];

/// Tells which.
pub(super) fn of(arguments: &[OsString]) -> Grammar {
    let typed: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let words = words(&typed);
    let has = |options: &[&str]| {
        typed.iter().any(|word| {
            let name = word.split('=').next().unwrap_or_default();
            name.starts_with('-') && options.contains(&name)
        })
    };
    match words.as_slice() {
        [] if has(&["--version"]) => Grammar::First,
        [] | ["help", ..] => Grammar::Help,
        [group, ..] if is_firsts(group) => match words.as_slice() {
            [_, second, ..] if second.contains('=') => Grammar::First,
            [_, _, third, ..] if third.contains('=') => Grammar::First,
            _ if has(&OF_FIRST) => Grammar::First,
            _ if has(&OF_SECOND) => Grammar::Second,
            // Objects that only the second has, and those that it calls otherwise.
            ["list" | "show", _, _, ..] => Grammar::First,
            ["list", "user_connections" | "user_limits" | "feature_flags", ..]
            | ["list", "deprecated_features" | "deprecated_features_in_use", ..]
            | ["show", "churn" | "endpoint", ..] => Grammar::Second,
            ["list" | "show", ..] => Grammar::First,
            [group, verb, ..] if v2::is_command(group, verb) => match has_options_behind(&typed) {
                true => Grammar::Second,
                false => of_bare(group),
            },
            _ => Grammar::First,
        },
        [group, ..] if v2::is_group(group) => Grammar::Second,
        _ => Grammar::First,
    }
}

/// Actions of the first, most of which the second has, too.
fn is_firsts(word: &str) -> bool {
    let actions = [
        "list", "show", "declare", "delete", "close", "purge", "publish", "get", "export", "import",
    ];
    actions.contains(&word)
}

/// A pair without options: a file may be called `definitions`, but nobody calls one so.
fn of_bare(group: &str) -> Grammar {
    match group {
        "export" | "import" | "publish" | "get" => Grammar::Second,
        _ => Grammar::First,
    }
}

/// Whether an option stands behind the second word, where the first has `name=value`.
fn has_options_behind(typed: &[&str]) -> bool {
    let mut words = 0;
    let mut rest = typed.iter();
    while let Some(word) = rest.next() {
        match word.starts_with('-') {
            true if words >= 2 && word.starts_with("--") => return true,
            true if words >= 2 && word.len() == 2 => return true,
            true if WITH_VALUE.contains(word) => drop(rest.next()),
            true => {}
            false => words += 1,
        }
    }
    false
}

/// All that is neither an option nor its value.
fn words<'a>(typed: &[&'a str]) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut rest = typed.iter();
    while let Some(word) = rest.next() {
        if !word.starts_with('-') {
            words.push(*word);
        } else if WITH_VALUE.contains(word) {
            rest.next();
        }
    }
    words
}

/// What there is, of both.
pub(super) fn help() -> String {
    format!(
        "\
Usage: rabbitmqadmin [options] action object name=value...      as with RabbitMQ up to 4.2
       rabbitmqadmin [options] group verb --option value...     as with RabbitMQ 4.3

The first:
  list connections|channels|consumers|exchanges|queues|bindings|users|vhosts|permissions|nodes|parameters|
       policies|operator_policies|vhost_limits [column...]
  show overview [column...]
  declare|delete exchange|queue|binding|vhost|user|permission|parameter|policy|operator_policy|vhost_limit
       name=value...
  close connection name=...
  purge queue name=...
  publish routing_key=... [exchange=... payload=... properties=... payload_encoding=...]
  get queue=... [count=... ackmode=... payload_file=... encoding=...]
  export FILE, import FILE
  options: -H HOST -P PORT -V VHOST -u USER -p PASSWORD -U URI -s (TLS) -k (any certificate) -q
           -f table|tsv|long|kvp|bash|raw_json|pretty_json -S SORT -R -d DEPTH -c FILE -N NODE

The second:
{}
  options: -H HOST -P PORT -V VHOST -u USER -p PASSWORD -U URI --use-tls -k --non-interactive
           --table-style STYLE; 'rabbitmqadmin queues declare --help' says what a command takes",
        v2::listed()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_tell_which_grammar_it_is() {
        for (line, expected) in [
            ("declare queue name=q durable=true", Grammar::First),
            ("-V va declare queue name=q", Grammar::First),
            ("list queues name messages", Grammar::First),
            ("list queues", Grammar::First),
            ("-f tsv list queues", Grammar::First),
            ("publish exchange=e routing_key=k payload=p", Grammar::First),
            ("publish routing_key=k", Grammar::First),
            ("get queue=q", Grammar::First),
            ("export /tmp/file.json", Grammar::First),
            ("delete queue name=q", Grammar::First),
            ("show overview", Grammar::First),
            ("--version", Grammar::First),
            ("declare", Grammar::First),
            ("queues list", Grammar::Second),
            ("--non-interactive list queues", Grammar::Second),
            ("list queues --non-interactive", Grammar::Second),
            ("declare queue --name q --type quorum", Grammar::Second),
            ("-H h -P 1 declare queue --name q", Grammar::Second),
            ("delete queue --name q --idempotently", Grammar::Second),
            ("messages publish -k x -m y", Grammar::Second),
            ("publish message -k x", Grammar::Second),
            ("get messages --queue q", Grammar::Second),
            ("get messages -q q", Grammar::Second),
            ("export definitions", Grammar::Second),
            ("definitions export --file x", Grammar::Second),
            ("show churn", Grammar::Second),
            ("health_check local_alarms", Grammar::Second),
            ("help", Grammar::Help),
            ("help subcommands", Grammar::Help),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(of(&words), expected, "{line}");
        }
        assert_eq!(of(&[]), Grammar::Help);
        assert!(help().contains("\n  queues list|"), "{}", help());
    }
}
