//! `leveret backup`: what a running broker keeps, in a file.
//!
//! A room of `ctl`. The broker copies itself (`backup`). Stays true: a file that is not whole is not there
//! under its name.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::commands::Call;
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
    let beside = beside(path);
    let mut file = owned(&beside).map_err(failed)?;
    let outcome = take(call, &mut file).and_then(|count| {
        file.sync_all().map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)?;
        Ok(count)
    });
    if outcome.is_err() {
        // What matters is why.
        let _ = fs::remove_file(&beside);
    }
    let text = format!("The backup is made: {name} ({}).", bytes(outcome?));
    Ok(if call.line.has("quiet") { Output::Nothing } else { Output::Text(text) })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// A file for its owner alone: hashes of passwords are in it.
fn owned(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
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
