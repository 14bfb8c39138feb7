//! `leveret backup`: what a running broker keeps, in a file.
//!
//! A room of `ctl`. The broker copies itself (`backup`). Stays true: a file that is not whole is not there
//! under its name.

use std::io::{self, Write};
use std::path::Path;

use super::commands::Call;
use super::definitions::replace;
use super::failure::{Failed, SOFTWARE};
use super::progress::{Progress, bytes};
use super::show::Output;

/// Writes a backup to a file, or to standard output for `-`.
pub(super) fn back_up(call: &Call<'_>) -> Result<Output, Failed> {
    let name = call.word(0);
    if name == "-" {
        let mut out = io::stdout().lock();
        take(call, &mut out)?;
        out.flush().map_err(|error| Failed::Refused(error.to_string(), SOFTWARE))?;
        return Ok(Output::Nothing);
    }
    let path = Path::new(name);
    let failed = |error: io::Error| Failed::Refused(format!("{name}: {error}"), SOFTWARE);
    let count = replace(path, failed, |file| take(call, file))?;
    let text = format!("The backup is made: {name} ({}).", bytes(count));
    Ok(if call.line.has("quiet") { Output::Nothing } else { Output::Text(text) })
}

/// Says how many bytes there were.
fn take(call: &Call<'_>, out: &mut dyn Write) -> Result<u64, Failed> {
    let mut progress = Progress::new("backup");
    let mut done = 0;
    call.client.download("/backup", &mut |left, piece| {
        out.write_all(piece).map_err(|error| format!("it cannot be written: {error}"))?;
        let all = left.map(|left| done + left);
        done += piece.len() as u64;
        progress.tell(done, all, bytes);
        Ok(())
    })?;
    Ok(done)
}
