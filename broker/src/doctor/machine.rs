//! What the machine grants a process: files, memory, a clock.
//!
//! A room of `doctor`.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::finding::Finding;
use crate::clock;
use crate::config::{Config, MemoryHighWatermark};
use crate::ctl::fields::number;
use crate::resources::{Marks, Watermarks};

/// A broker with fewer will not serve many clients: every connection is a file.
const FILES_BAD: u64 = 1024;
/// What RabbitMQ asks for in production.
const FILES_GOOD: u64 = 65_536;
/// With less, bodies of messages leave memory all the time.
const MEMORY_LOW: u64 = 256 << 20;
/// How long the clocks are watched.
const WATCHED: Duration = Duration::from_millis(50);
/// What they may differ in meanwhile, in milliseconds.
const DRIFT_MS: u64 = 5;
/// 2025-01-01: no clock that is right says less.
const LEAST_MS: u64 = 1_735_689_600_000;
const MIB: u64 = 1 << 20;

/// How many files may be open: the running broker's word counts, if there is one.
pub(super) fn files(node: Option<&Value>) -> Finding {
    let about = "files";
    let (limit, whose) = match node.map(|node| number(node, "fd_total")).filter(|limit| *limit > 0)
    {
        Some(limit) => (limit, "the running broker"),
        None => (getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX), "a broker started here"),
    };
    let shown =
        if limit >= i64::MAX as u64 { "any number of".to_owned() } else { limit.to_string() };
    let text = format!("{whose} may have {shown} files and connections open");
    let advice = "raise LimitNOFILE of the unit, 'ulimit -Hn' of the shell, or --ulimit nofile of the \
                  container";
    match limit {
        0..=FILES_BAD => Finding::bad(about, text, advice),
        _ if limit < FILES_GOOD => Finding::warn(about, text, advice),
        _ => Finding::ok(about, text),
    }
}

/// How much memory there is, and where publishers begin to wait.
pub(super) fn memory(config: &Config) -> Finding {
    let marks = Marks {
        memory: config.memory,
        disk_free: config.disk_free_limit,
        memory_total: config.memory_total,
    };
    let watermarks = Watermarks::new(&config.data_dir, marks);
    let (machine, usable) = (watermarks.machine_bytes(), watermarks.usable_bytes());
    let limit = watermarks.memory_limit();
    let of = match usable < machine {
        true => {
            format!("{} MiB, which the control group leaves of {}", usable / MIB, machine / MIB)
        }
        false => format!("{} MiB of this machine", machine / MIB),
    };
    let text = format!("publishers wait above {} MiB of {of}", limit / MIB);
    let about = "memory";
    let is_absolute = matches!(config.memory, MemoryHighWatermark::Absolute(_));
    if limit > usable {
        let key = match is_absolute {
            true => "vm_memory_high_watermark.absolute",
            false => "total_memory_available_override_value",
        };
        return Finding::bad(about, text, format!("{key} says more than there is; lower it"));
    }
    match usable < MEMORY_LOW {
        true => Finding::warn(about, text, "give the broker 256 MiB at least"),
        false => Finding::ok(about, text),
    }
}

/// The clock: that it does not jump, is not long ago, and whether somebody keeps it right.
pub(super) fn clocks(data_dir: &Path) -> Vec<Finding> {
    let about = "clock";
    let (wall, steady) = (clock::unix_millis(), clock::steady_nanos());
    std::thread::sleep(WATCHED);
    let steady_ms = clock::steady_nanos().saturating_sub(steady) / 1_000_000;
    let wall_ms = clock::unix_millis().saturating_sub(wall);
    let mut findings = Vec::new();
    if wall < LEAST_MS {
        findings.push(Finding::bad(
            about,
            format!("it says {}", date(wall)),
            "set it: expiry, certificates and tokens go by it",
        ));
    }
    if wall_ms.abs_diff(steady_ms) > DRIFT_MS {
        let text = format!("it went {wall_ms} ms while {steady_ms} ms passed");
        findings.push(Finding::warn(about, text, "see what sets it; times of messages go by it"));
    }
    if let Some(ahead) = written_ahead(data_dir, wall) {
        let text = format!("files in {} are {ahead} s newer than now", data_dir.display());
        findings.push(Finding::warn(about, text, "it was set back; set it right"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(about, format!("{}, {}", date(wall), keeper())));
    }
    findings
}

fn date(millis: u64) -> String {
    let moment = UNIX_EPOCH + Duration::from_millis(millis);
    humantime::format_rfc3339_seconds(moment).to_string()
}

/// How many seconds ahead of now something was written, if it is more than a minute.
fn written_ahead(data_dir: &Path, now_ms: u64) -> Option<u64> {
    let modified = std::fs::metadata(data_dir.join("definitions.export")).ok()?.modified().ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms);
    let ahead = modified.duration_since(now).ok()?.as_secs();
    (ahead > 60).then_some(ahead)
}

/// Who keeps the clock right, as far as it can be told from files.
fn keeper() -> &'static str {
    let is_there = |path: &str| Path::new(path).exists();
    if is_there("/run/systemd/timesync/synchronized") {
        return "kept right by systemd-timesyncd";
    }
    if is_there("/run/chrony/chronyd.pid") || is_there("/run/chrony/chronyd.sock") {
        return "kept right by chrony";
    }
    if is_there("/run/ntpd.pid") || is_there("/var/run/ntpd.pid") {
        return "kept right by ntpd";
    }
    "and nothing here says who keeps it right"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_running_brokers_limit_counts() {
        for (limit, level) in [(512, Level::Bad), (4096, Level::Warn), (70_000, Level::Ok)] {
            assert_eq!(files(Some(&json!({"fd_total": limit}))).level, level, "{limit}");
        }
    }

    #[test]
    fn what_was_written_later_than_now_is_told() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("definitions.export"), "").unwrap();
        let now = clock::unix_millis();
        assert_eq!(written_ahead(directory.path(), now), None);
        let ahead = written_ahead(directory.path(), now - 3_600_000);
        assert!(ahead.is_some_and(|ahead| (3590..=3610).contains(&ahead)), "{ahead:?}");
    }
}
