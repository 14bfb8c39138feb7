//! `rabbitmq-plugins`: there are none, since what RabbitMQ has as plugins is built in, or is not there.
//!
//! A room of `ctl`. Needs no broker, as images are made without one. Stays true: to enable what is built
//! in is no error, nor what is not known, which is named; RabbitMQ does the same.

use super::commands::Call;
use super::failure::Failed;
use super::show::Output;
use crate::config::plugins::BUILT_IN;

type Done = Result<Output, Failed>;

fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

fn is_quiet(call: &Call<'_>) -> bool {
    call.line.has("quiet") || call.line.has("silent")
}

pub(super) fn list(call: &Call<'_>) -> Done {
    let pattern = call.word(0);
    let regex = regex::Regex::new(pattern)
        .map_err(|_| Failed::usage(format!("'{pattern}' is not a regular expression")))?;
    let those = BUILT_IN.iter().filter(|name| regex.is_match(name));
    let width = BUILT_IN.iter().map(|name| name.len()).max().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let line = |name: &&str| match call.line.has("minimal") {
        true => (*name).to_owned(),
        false => format!("[E*] {name:width$} {version}"),
    };
    let mut lines: Vec<_> = those.map(line).collect();
    if !is_quiet(call) {
        let pattern = if pattern.is_empty() { ".*" } else { pattern };
        lines.insert(0, format!("Listing plugins with pattern \"{pattern}\" ..."));
        if !call.line.has("minimal") {
            lines.insert(
                1,
                " Configured: E = explicitly enabled; e = implicitly enabled".to_owned(),
            );
            lines.insert(2, " | Status: * = built in".to_owned());
            lines.insert(3, " |/".to_owned());
        }
    }
    Ok(Output::Text(lines.join("\n")))
}

pub(super) fn enable(call: &Call<'_>) -> Done {
    let names = call.words_from(0);
    let mut lines = vec!["Enabling plugins:".to_owned()];
    lines.extend(names.iter().cloned());
    let unknown: Vec<_> = names.iter().filter(|name| !is_built_in(name)).cloned().collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        lines.push(format!("WARNING - plugins currently enabled but missing: {unknown}"));
    }
    lines.push("Plugin configuration unchanged: what is there is built in.".to_owned());
    Ok(Output::Text(lines.join("\n")))
}

pub(super) fn disable(call: &Call<'_>) -> Done {
    let built_in: Vec<_> =
        call.words_from(0).iter().filter(|name| is_built_in(name)).cloned().collect();
    match built_in.is_empty() {
        true => Ok(Output::Text("Plugin configuration unchanged.".to_owned())),
        false => Err(Failed::refused(format!(
            "{} cannot be disabled: it is built in. Listeners are switched off by the configuration.",
            built_in.join(", ")
        ))),
    }
}

pub(super) fn is_enabled(call: &Call<'_>) -> Done {
    let names = call.words_from(0);
    let unknown: Vec<_> = names.iter().filter(|name| !is_built_in(name)).cloned().collect();
    if unknown.is_empty() {
        let lines = names.iter().map(|name| format!("Plugin {name} is enabled"));
        return Ok(Output::Text(lines.collect::<Vec<_>>().join("\n")));
    }
    Err(Failed::refused(format!(
        "Plugin {} is not enabled. Enabled plugins and dependencies: {}",
        unknown.join(", "),
        BUILT_IN.join(", ")
    )))
}
