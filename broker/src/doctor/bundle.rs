//! What somebody who helps from afar wants to see, in one file, without secrets.
//!
//! A room of `doctor`. Stays true: files of the configuration are not in it, only what was set, by key;
//! secrets that are set are looked for in all of it, the log too, and replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::Value;

use super::archive::tar_gz;
use super::finding::{Finding, data, report};
use crate::clock;
use crate::config::secrets::{cleaned, is_secret, shown, to_look_for};
use crate::config::{Config, LogFile};

/// So much of the end of the log.
const LOG_TAIL: u64 = 1 << 20;
/// The folder in it.
const FOLDER: &str = "leveret-doctor";

/// What the running broker tells of itself.
pub(super) struct Told {
    pub(super) overview: Option<Value>,
    pub(super) node: Option<Value>,
}

/// Writes it, for its owner alone.
pub(super) fn write(
    path: &Path,
    findings: &[Finding],
    config: Option<&Config>,
    told: &Told,
) -> io::Result<()> {
    let secrets = config.map(secrets).unwrap_or_default();
    let mut files = Vec::new();
    let mut add = |name: &str, text: String| {
        files.push((format!("{FOLDER}/{name}"), cleaned(&text, &secrets).into_bytes()));
    };
    add("report.txt", report(findings) + "\n");
    add("report.json", pretty(&data(findings)));
    add("versions.txt", versions());
    if let Some(config) = config {
        add("settings.txt", settings(config));
        if let Some(log) = &config.logging.file {
            add("log.txt", tail(log).unwrap_or_else(|error| format!("cannot be read: {error}\n")));
        }
    }
    for (name, value) in [("overview.json", &told.overview), ("node.json", &told.node)] {
        if let Some(value) = value {
            add(name, pretty(value));
        }
    }
    let bytes = tar_gz(&files, clock::unix_millis() / 1000);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&bytes)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// All values that are set and nobody may see.
fn secrets(config: &Config) -> Vec<String> {
    let set = config.settled.keys().filter(|key| is_secret(key));
    let set = set.filter_map(|key| config.settled.value(key));
    let seeds = config.seed.further_users.iter().filter_map(|user| user.password.as_ref());
    let seeds = seeds.chain(std::iter::once(&config.seed.password));
    to_look_for(set.chain(seeds).map(|secret| secret.expose().to_owned()))
}

/// What was set, by key, from wherever.
fn settings(config: &Config) -> String {
    let line = |key: &str| {
        let value = config.settled.value(key).map(|value| shown(key, value.expose()));
        format!("{key} = {}\n", value.unwrap_or_default())
    };
    let files = config.files.iter().map(|file| format!("# {}\n", file.display()));
    files.chain(config.settled.keys().map(line)).collect()
}

fn versions() -> String {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let release = file("/etc/os-release");
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    format!(
        "leveret {}\nkernel {}\nsystem {}\nprocessors {}\nlimits\n{}\ncontrol groups\n{}\n",
        env!("CARGO_PKG_VERSION"),
        file("/proc/sys/kernel/osrelease"),
        name.unwrap_or("unknown").trim_matches('"'),
        std::thread::available_parallelism().map_or(0, usize::from),
        file("/proc/self/limits"),
        file("/proc/self/cgroup"),
    )
}

/// The end of the log, from the first whole line on.
fn tail(log: &LogFile) -> io::Result<String> {
    let mut file = File::open(&log.path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LOG_TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(match text.split_once('\n') {
        Some((_, rest)) if from > 0 => rest.to_owned(),
        _ => text,
    })
}
