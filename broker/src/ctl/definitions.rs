//! Definitions from and into files.
//!
//! A room of `ctl`. What the broker makes of them is its own affair (`import`). Stays true: what was not
//! written whole is not there under its name.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::Value;

use super::client::{Sent, refusal};
use super::commands::Call;
use super::failure::{DATA, Failed, SOFTWARE};
use super::show::Output;

type Done = Result<Output, Failed>;

/// Those of the vhost that somebody named, or of the whole broker.
fn path(call: &Call<'_>) -> String {
    match call.line.value("vhost") {
        Some(_) => call.path("/definitions/{vhost}"),
        None => "/definitions".to_owned(),
    }
}

fn assert_json(call: &Call<'_>) -> Result<(), Failed> {
    match call.line.value("format") {
        None => Ok(()),
        Some(format) if format.eq_ignore_ascii_case("json") => Ok(()),
        Some(_) => Err(Failed::usage("Bad argument: Formatter should be json")),
    }
}

fn is_standard(file: &str) -> bool {
    file.is_empty() || file == "-"
}

pub(super) fn export(call: &Call<'_>) -> Done {
    assert_json(call)?;
    let answer = call.client.ask("GET", &path(call), None)?;
    if answer.status != 200 {
        return Err(refusal(&answer));
    }
    let file = call.word(0);
    if is_standard(file) {
        return Ok(Output::Verbatim(answer.body));
    }
    let failed = |error: std::io::Error| Failed::Refused(format!("{file}: {error}"), SOFTWARE);
    replace(Path::new(file), failed, |out| out.write_all(&answer.body).map_err(failed))?;
    let text = format!("Exporting definitions in JSON to a file at \"{file}\" ...");
    Ok(if call.line.has("quiet") { Output::Nothing } else { Output::Text(text) })
}

/// Writes a file whole or not at all; for its owner alone, since hashes of passwords are in it. `failed`
/// tells of the system's refusals.
pub(super) fn replace<T>(
    path: &Path,
    failed: impl Fn(std::io::Error) -> Failed,
    write: impl FnOnce(&mut fs::File) -> Result<T, Failed>,
) -> Result<T, Failed> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let opened =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
    let mut file = opened.map_err(&failed)?;
    let outcome = write(&mut file).and_then(|done| {
        file.sync_all().and_then(|()| fs::rename(&beside, path)).map_err(&failed)?;
        Ok(done)
    });
    if outcome.is_err() {
        // What matters is why.
        let _ = fs::remove_file(&beside);
    }
    outcome
}

/// What stands in a file, or comes as input.
pub(super) fn read(file: &str) -> Result<Vec<u8>, Failed> {
    if is_standard(file) {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|error| Failed::refused(error.to_string()));
    }
    fs::read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failed::Usage(format!("Bad argument: File {file} does not exist"), DATA)
        }
        _ => Failed::Usage(format!("Bad argument: File {file} cannot be read: {error}"), DATA),
    })
}

pub(super) fn import(call: &Call<'_>) -> Done {
    assert_json(call)?;
    let file = call.word(0);
    let bytes = read(file)?;
    let body: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failed::Refused(format!("Failed to parse JSON: {error}"), DATA))?;
    match call.client.send("POST", &path(call), Some(&body)) {
        Ok(Sent::Done(_)) => {}
        Ok(Sent::Missing(reason)) => return Err(call.which_is_missing(reason)),
        Err(Failed::Refused(reason, _)) => {
            return Err(Failed::Refused(format!("Failed to import definitions: {reason}"), DATA));
        }
        Err(failed) => return Err(failed),
    }
    let from = if is_standard(file) {
        "standard input".to_owned()
    } else {
        format!("a file at \"{file}\"")
    };
    let text =
        format!("Importing definitions in JSON from {from} ...\nThe definitions are imported.");
    Ok(if call.line.has("quiet") { Output::Nothing } else { Output::Text(text) })
}
