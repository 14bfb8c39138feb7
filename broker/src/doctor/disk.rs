//! The disk that the data is on: its kind, its room, and how quickly it makes something durable.
//!
//! A room of `doctor`. Stays true: what it writes is a file of its own, which is gone afterwards, and it
//! takes two seconds at most.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::finding::Finding;
use crate::clock;
use crate::config::Config;
use crate::resources::{Marks, Watermarks};

/// Syncs at most, and nanoseconds that they may take together.
const SYNCS_MAX: usize = 100;
const SYNCS_NANOS: u64 = 1_000_000_000;
/// How long it is waited for them.
const PATIENCE: Duration = Duration::from_millis(1800);
/// What a sync may take, in microseconds.
const SLOW_MICROS: u64 = 20_000;
const BAD_MICROS: u64 = 100_000;
const BLOCK: [u8; 4096] = [0x5a; 4096];
const MIB: u64 = 1 << 20;
const ABOUT: &str = "disk";

/// All there is to say of it.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let place = nearest(&config.data_dir);
    let mut findings = vec![writable(&config.data_dir, &place)];
    findings.extend(kind(&place));
    findings.push(room(config, &place));
    if findings.iter().all(|finding| !finding.text.contains("cannot write")) {
        findings.push(syncs(&place));
    }
    findings
}

/// The directory, or what of the way to it is there.
fn nearest(directory: &Path) -> PathBuf {
    let there = directory.ancestors().find(|path| path.is_dir());
    match there.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => path.to_owned(),
        None => ".".into(),
    }
}

fn writable(directory: &Path, place: &Path) -> Finding {
    let shown = directory.display();
    let access = rustix::fs::access(place, rustix::fs::Access::WRITE_OK);
    match access {
        Ok(()) if directory.is_dir() => Finding::ok(ABOUT, format!("data are in {shown}")),
        Ok(()) => Finding::ok(ABOUT, format!("data will be in {shown}, which is not there yet")),
        Err(error) => Finding::bad(
            ABOUT,
            format!("this user cannot write to {}: {error}", place.display()),
            "run this as the broker's user, or give that user the directory",
        ),
    }
}

/// File systems that are no place for data, by the numbers of statfs(2).
fn kind(place: &Path) -> Option<Finding> {
    let number = rustix::fs::statfs(place).ok()?.f_type;
    let shown = place.display();
    match number {
        0x6969 | 0xff53_4d42 | 0xfe53_4d42 => Some(Finding::warn(
            ABOUT,
            format!("{shown} is on a network file system"),
            "its syncs are slow and its locks are not to be trusted; take a local disk",
        )),
        0x0102_1994 => Some(Finding::warn(
            ABOUT,
            format!("{shown} is in memory"),
            "all is gone when the machine restarts; take a disk",
        )),
        0x794c_7630 => Some(Finding::warn(
            ABOUT,
            format!("{shown} is in the container's own layer"),
            "all is gone with the container; mount a volume there",
        )),
        _ => None,
    }
}

fn room(config: &Config, place: &Path) -> Finding {
    let marks = Marks {
        memory: config.memory,
        disk_free: config.disk_free_limit,
        memory_total: config.memory_total,
    };
    let watermarks = Watermarks::new(place, marks);
    let limit = watermarks.disk_free_limit();
    let Some(free) = watermarks.disk_free_now() else {
        return Finding::warn(ABOUT, "nobody says how much is free", "look at the mount");
    };
    let text = format!("{} MiB are free, publishers wait below {} MiB", free / MIB, limit / MIB);
    let advice = "make room, or lower disk_free_limit";
    match free {
        _ if free < limit => Finding::bad(ABOUT, text, advice),
        _ if free < limit.saturating_mul(2) => Finding::warn(ABOUT, text, advice),
        _ => Finding::ok(ABOUT, text),
    }
}

/// How long it takes until something is durable: what a confirm of a persistent message waits for.
fn syncs(place: &Path) -> Finding {
    let path = place.join(format!(".leveret-doctor-{}", std::process::id()));
    let (outbox, inbox) = mpsc::channel();
    let written = path.clone();
    // On a thread of its own: a disk that hangs is one of the answers.
    std::thread::spawn(move || outbox.send(measure(&written)));
    let measured = inbox.recv_timeout(PATIENCE);
    // Whatever came of it.
    let _ = fs::remove_file(&path);
    let advice = "confirms wait for it: take a faster disk, or one that is less busy";
    match measured {
        Ok(Ok(times)) => of_times(times, advice),
        Ok(Err(error)) => {
            let text = format!("nothing can be made durable in {}: {error}", place.display());
            Finding::bad(ABOUT, text, "look at the disk")
        }
        Err(_) => Finding::bad(ABOUT, "nothing became durable within 1.8 s", advice),
    }
}

fn of_times(mut micros: Vec<u64>, advice: &str) -> Finding {
    micros.sort_unstable();
    let at = |percent: usize| {
        let place = (micros.len().saturating_sub(1)) * percent / 100;
        micros.get(place).copied().unwrap_or_default()
    };
    let (median, high) = (at(50), at(95));
    let shown = |micros: u64| format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10);
    let text = format!("a sync takes {}, 95 of 100 at most {}", shown(median), shown(high));
    match median {
        _ if median > BAD_MICROS => Finding::bad(ABOUT, text, advice),
        _ if median > SLOW_MICROS => Finding::warn(ABOUT, text, advice),
        _ => Finding::ok(ABOUT, text),
    }
}

/// Microseconds of each sync.
fn measure(path: &Path) -> io::Result<Vec<u64>> {
    let mut file = File::create(path)?;
    file.write_all(&BLOCK)?;
    file.sync_all()?;
    let began = clock::steady_nanos();
    let mut micros = Vec::new();
    while micros.len() < SYNCS_MAX && clock::steady_nanos() - began < SYNCS_NANOS {
        let before = clock::steady_nanos();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        micros.push((clock::steady_nanos() - before) / 1000);
    }
    Ok(micros)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_median_counts() {
        let level = |times: &[u64]| of_times(times.to_vec(), "").level;
        assert_eq!(level(&[100, 900_000, 200]), Level::Ok);
        assert_eq!(level(&[30_000]), Level::Warn);
        assert_eq!(level(&[1, 200_000, 200_000]), Level::Bad);
        let text = of_times((1..=100).map(|n| n * 10).collect(), "").text;
        assert_eq!(text, "a sync takes 0.50 ms, 95 of 100 at most 0.95 ms");
    }

    #[test]
    fn nothing_is_left_of_what_was_measured() {
        let directory = tempfile::tempdir().unwrap();
        let finding = syncs(directory.path());
        assert!(finding.text.starts_with("a sync takes"), "{finding:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_there_yet_is_looked_for_above() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&directory.path().join("a/b")), directory.path());
        assert_eq!(nearest(Path::new("nowhere-at-all")), Path::new("."));
    }
}
