//! RabbitMQ's command line: `leveret ctl`, and the names `rabbitmqctl`, `rabbitmq-diagnostics`,
//! `rabbitmq-queues`, `rabbitmq-plugins` and `rabbitmq-upgrade`.
//!
//! Called by `main`. A command asks the management API of a broker, over the socket in its data directory
//! or a URL (`whom`, `client`). `grammar` reads what was typed, `table` has the commands, `commands` says what one
//! is and does; those that are more than a question are in `users`, `operation`, `definitions`,
//! `apply`, `diagnostics` and `plugins`; `show` has the formats, `failure` the exit codes. Stays true: texts and
//! codes are RabbitMQ's, because scripts look at them; nothing of the broker is in this process.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of values of JSON, and of failures, those that are not meant are passed on as they are"
)]

pub(crate) mod failure;
mod grammar;
mod show;
pub(crate) mod client;
pub(crate) mod fields;
pub(crate) mod whom;
pub(crate) mod commands;
mod bodies;
mod users;
mod operation;
mod definitions;
mod apply;
mod diagnostics;
mod plugins;
mod table;
mod completions;
mod looking;
mod backing_up;
pub mod progress;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use self::client::Client;
use self::commands::{Act, Call, Command, Tool};
use self::failure::{Failed, USAGE};
use self::grammar::Line;
use self::show::{Formatter, Output};
use self::whom::Whom;

/// Carries out what follows the name of a program. The exit code.
pub fn run(
    program: Option<&str>,
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
) -> u8 {
    let tool = program.and_then(Tool::named).unwrap_or(Tool::Ctl);
    let line = match Line::parse(arguments) {
        Ok(line) => line,
        Err(reason) => return tell(tool, None, &Line::default(), &Failed::usage(reason)),
    };
    if line.has("version") {
        print(env!("CARGO_PKG_VERSION").as_bytes());
        return 0;
    }
    let asked = line.words.first().map(String::as_str);
    match asked {
        None if line.has("help") => help(tool, None, 0),
        None => help(tool, None, USAGE),
        Some("help" | "autocomplete") => help(tool, line.words.get(1).map(String::as_str), 0),
        Some(name) => match table::find(name).filter(|command| is_in(command, tool, program)) {
            None => unknown(tool, name),
            Some(_) if line.has("help") => help(tool, Some(name), 0),
            Some(command) => carry_out(tool, command, &line, environment),
        },
    }
}

/// `leveret ctl` has the commands of all.
fn is_in(command: &Command, tool: Tool, program: Option<&str>) -> bool {
    program.is_none() || command.tools.contains(&tool)
}

fn carry_out(
    tool: Tool,
    command: &Command,
    line: &Line,
    environment: impl Fn(&str) -> Option<String>,
) -> u8 {
    match checked(command, line).and_then(|formatter| {
        let client = client(line, environment)?;
        let names = || table::all().map(|command| command.name).collect();
        act(&Call { command, line, client: &client, names }, formatter)
    }) {
        Ok(()) => 0,
        Err(failed) => tell(tool, Some(command), line, &failed),
    }
}

/// Whether the command can be understood, and how its answer is shown.
fn checked(command: &Command, line: &Line) -> Result<Formatter, Failed> {
    let beside = line.beside(command.options);
    if !beside.is_empty() {
        let options = beside.iter().map(|option| format!("--{option}")).collect::<Vec<_>>();
        let text = format!("Invalid options for this command: {}", options.join(", "));
        return Err(Failed::usage(text));
    }
    let words = line.words.len().saturating_sub(1);
    let (least, most) = command.words;
    if words < least {
        return Err(Failed::usage("not enough arguments."));
    }
    if words > most {
        return Err(Failed::usage("too many arguments."));
    }
    let named = line.value("formatter");
    let formatter = named.map_or(Some(Formatter::Table), Formatter::parse);
    formatter.ok_or_else(|| Failed::usage("The requested formatter is not supported"))
}

fn act(call: &Call<'_>, formatter: Formatter) -> Result<(), Failed> {
    let is_quiet = call.line.has("quiet") || call.line.has("silent");
    let banner = call.text(call.command.banner);
    if !is_quiet && !banner.is_empty() && !formatter.is_for_programs() {
        print(banner.as_bytes());
    }
    let output = call.act()?;
    let with_headers = !call.line.has("silent") && !call.line.has("no-table-headers");
    let is_empty = matches!(&output, Output::Text(text) if text.is_empty());
    if let Some(shown) = output.shown(formatter, with_headers).filter(|_| !is_empty) {
        print(&shown);
    }
    Ok(())
}

/// A client of the broker that is meant.
fn client(line: &Line, environment: impl Fn(&str) -> Option<String>) -> Result<Client, Failed> {
    let seconds = line.value("timeout").map(|text| text.parse::<u64>());
    let path = |option| line.value(option).map(PathBuf::from);
    let whom = Whom {
        url: line.value("url").map(str::to_owned),
        socket: path("socket"),
        data_dir: path("data-dir"),
        config: path("config"),
        timeout: seconds.transpose().map_err(|_| Failed::usage("Invalid timeout"))?,
    };
    whom.client(environment)
}

/// Prints what went wrong as RabbitMQ does; its exit code.
#[expect(clippy::print_stderr, reason = "this is what standard error is for")]
fn tell(tool: Tool, command: Option<&Command>, line: &Line, failed: &Failed) -> u8 {
    match failed {
        Failed::Plain(text, _) => eprintln!("{text}"),
        Failed::Refused(text, _) => eprintln!("Error:\n{text}"),
        Failed::Usage(text, _) => {
            let given = line.words.join(" ");
            eprintln!("Error (argument validation): {text}\nArguments given:\n\t{given}");
            if let Some(command) = command {
                eprintln!("\nUsage\n\n{}", usage(tool, command));
            }
        }
    }
    failed.code()
}

#[expect(clippy::print_stderr, reason = "this is what standard error is for")]
fn unknown(tool: Tool, name: &str) -> u8 {
    eprintln!("\nCommand '{name}' not found. ");
    let nearest = table::all()
        .filter(|command| command.tools.contains(&tool))
        .map(|command| (distance(command.name, name), command.name))
        .min();
    if let Some((_, nearest)) = nearest.filter(|(distance, _)| *distance <= name.len() / 3 + 1) {
        eprintln!("Did you mean '{nearest}'? ");
    }
    USAGE
}

/// In how many letters two names differ (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row, vec![at + 1]);
        for (place, pair) in diagonal.windows(2).enumerate() {
            let [left_above, above] = *pair else { continue };
            let is_same = other.get(place) == Some(&letter);
            let left = row.last().copied().unwrap_or_default();
            row.push((left_above + usize::from(!is_same)).min(above + 1).min(left + 1));
        }
        diagonal.clear();
    }
    row.last().copied().unwrap_or_default()
}

fn usage(tool: Tool, command: &Command) -> String {
    let name = tool.name();
    let mut text = format!("{name} [--node <node>] [--longnames] [--quiet] {}", command.name);
    if !command.arguments.is_empty() {
        text = format!("{text} {}", command.arguments);
    }
    for option in command.options {
        if !command.arguments.contains(&format!("--{option}")) {
            text = format!("{text} {}", grammar::shown(option));
        }
    }
    text
}

/// What a command is called with, or which there are.
fn help(tool: Tool, name: Option<&str>, code: u8) -> u8 {
    if let Some(command) = name.and_then(table::find) {
        let mut text = format!("\nUsage\n\n{}", usage(tool, command));
        if let Act::List(list) = command.act
            && command.takes_columns()
        {
            let mut columns: Vec<_> = list.columns.iter().map(|(name, _)| *name).collect();
            columns.sort_unstable();
            text = format!("{text}\n\n<column>\n\tmust be one of {}", columns.join(", "));
        }
        print(text.as_bytes());
        return code;
    }
    let mut lines = vec![
        String::new(),
        "Usage".to_owned(),
        String::new(),
        format!(
            "{} [--node <node>] [--timeout <timeout>] [--longnames] [--quiet] <command> [<command \
             options>]",
            tool.name()
        ),
        String::new(),
        "Available commands:".to_owned(),
        String::new(),
    ];
    let own = table::all().filter(|command| command.tools.contains(&tool));
    lines.extend(own.map(|command| format!("   {}", command.name)));
    print(lines.join("\n").as_bytes());
    code
}

/// Whoever reads it may have gone.
fn print(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests;
