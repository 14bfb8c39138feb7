//! `leveret upgrade check DIR`: whether this version reads a data directory, and what becomes of it; or
//! what else the directory is.
//!
//! Called by `main`. Stays true: nothing is written. What a broker would refuse at its start is refused
//! here with the same words.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use leveret_storage::metadata::exported;
use leveret_storage::{Looked, StorageError, look};

use crate::definitions::records;

/// What to say of upgrades.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum UpgradeCommand {
    /// Say whether this version reads a data directory, and what it would change there
    Check {
        /// The data directory, of a broker that is not running
        directory: PathBuf,
    },
}

/// What was found: whether this version starts on it, and the lines that say why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it does.
    pub is_read: bool,
    /// The reasons.
    pub lines: Vec<String>,
}

impl Verdict {
    fn refused(lines: impl IntoIterator<Item = String>) -> Self {
        Self { is_read: false, lines: lines.into_iter().collect() }
    }
}

/// Looks at a directory.
#[must_use]
pub fn check(directory: &Path) -> Verdict {
    let shown = directory.display();
    if !directory.is_dir() {
        return Verdict::refused([format!("{shown} is no directory")]);
    }
    if !directory.join("FORMAT").exists() {
        return of_others(directory);
    }
    match look(directory) {
        Ok(looked) => ours(directory, &looked),
        Err(error @ StorageError::Locked { .. }) => Verdict::refused([
            error.to_string(),
            "end that broker first: it may be changing what is looked at".to_owned(),
        ]),
        Err(error) => Verdict::refused([
            format!("Leveret {} does not read {shown}", env!("CARGO_PKG_VERSION")),
            error.to_string(),
        ]),
    }
}

fn ours(directory: &Path, looked: &Looked) -> Verdict {
    let version = env!("CARGO_PKG_VERSION");
    let mut lines = vec![
        format!("Leveret {version} reads {}", directory.display()),
        format!(
            "format       {}, store {}: written as it is, nothing is converted",
            looked.format, looked.store
        ),
        definitions(directory),
    ];
    lines.push(match (looked.log_files, looked.has_sled_messages) {
        (Some(files), false) => {
            format!("messages     in the log, {files} files, in the layout that is written")
        }
        (None, true) => "messages     in sled: 'message_store = sled' has to stay set".to_owned(),
        (Some(_), true) => {
            lines.push(
                "messages     in the log and in sled: the broker refuses to start until one of \
                 'messages' and 'messages.sled' is moved away"
                    .to_owned(),
            );
            return Verdict::refused(lines);
        }
        (None, false) => "messages     none were ever kept".to_owned(),
    });
    lines.push(
        match looked.was_closed {
            true => "end          in order: redelivered flags stay exact",
            false => "end          not in order: what was handed out comes back as redelivered",
        }
        .to_owned(),
    );
    lines.push(
        "name         any: data belong to the directory, and to no name of a host or a node"
            .to_owned(),
    );
    Verdict { is_read: true, lines }
}

/// What the last export says there is.
fn definitions(directory: &Path) -> String {
    let stored = exported(directory).map_err(|error| error.to_string());
    let stored =
        stored.and_then(|snapshot| records::load(&snapshot).map_err(|error| error.to_string()));
    match stored {
        Ok(stored) => format!(
            "definitions  {} vhosts, {} users, {} exchanges, {} queues, {} bindings",
            stored.vhosts.len(),
            stored.users.len(),
            stored.exchanges.len(),
            stored.queues.len(),
            stored.bindings.len()
        ),
        // The database itself counts, and only the broker opens it.
        Err(_) => "definitions  without an export: they are in the database alone".to_owned(),
    }
}

/// A directory without our mark.
fn of_others(directory: &Path) -> Verdict {
    let shown = directory.display();
    if let Some(inner) = inside(directory, &|path| path.join("FORMAT").is_file()) {
        return Verdict::refused([
            format!("{shown} is no data directory, and holds one"),
            format!("check that: leveret upgrade check {}", inner.display()),
        ]);
    }
    let rabbitmq = kind_of_rabbitmq(directory).map(|kind| (directory.to_owned(), kind));
    let rabbitmq = rabbitmq.or_else(|| {
        let inner = inside(directory, &|path| kind_of_rabbitmq(path).is_some())?;
        let kind = kind_of_rabbitmq(&inner)?;
        Some((inner, kind))
    });
    if let Some((place, kind)) = rabbitmq {
        return Verdict::refused([
            format!("{} is a data directory of RabbitMQ, {kind}: it cannot be read here", place.display()),
            "start RabbitMQ on it once more, and bring over what it has while both run: leveret migrate"
                .to_owned(),
            "without messages: rabbitmqctl export_definitions FILE there, leveret ctl \
             import_definitions FILE here"
                .to_owned(),
        ]);
    }
    let is_empty = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
    match is_empty {
        true => Verdict {
            is_read: true,
            lines: vec![format!("{shown} is empty: a broker begins anew there")],
        },
        false => Verdict::refused([format!("{shown} is no data directory of Leveret or RabbitMQ")]),
    }
}

/// A directory inside for which something holds.
fn inside(directory: &Path, holds: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries.into_iter().find(|path| path.is_dir() && holds(path))
}

/// How RabbitMQ keeps its definitions there, if it is one of its directories.
fn kind_of_rabbitmq(directory: &Path) -> Option<&'static str> {
    let has = |name: &str| directory.join(name).exists();
    // Khepri is a Raft system beside that of quorum queues; a directory may have files of both.
    if has("coordination") {
        return Some("with definitions in Khepri (4.x, or 3.13 with khepri_db)");
    }
    if has("schema.DAT") || has("LATEST.LOG") || has("cluster_nodes.config") {
        return Some("with definitions in Mnesia (3.x, or 4.x before Khepri)");
    }
    has("msg_stores").then_some("of which only messages are left")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(directory: &Path) -> (bool, String) {
        let verdict = check(directory);
        (verdict.is_read, verdict.lines.join("\n"))
    }

    #[test]
    fn what_rabbitmq_left_is_named_with_what_to_do() {
        for (file, expected) in [
            ("coordination/rabbit@h/x", "Khepri"),
            ("schema.DAT", "Mnesia"),
            ("msg_stores/vhosts/x", "only messages"),
        ] {
            for below in ["", "rabbit@h/"] {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join(below).join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
                let (is_read, text) = lines(directory.path());
                assert!(!is_read && text.contains(expected), "{text}");
                assert!(text.contains("leveret migrate"), "{text}");
            }
        }
    }

    #[test]
    fn what_is_nothing_of_anybody_is_told() {
        let directory = tempfile::tempdir().unwrap();
        assert!(lines(directory.path()).0, "an empty one is begun anew");
        fs::write(directory.path().join("x"), "").unwrap();
        assert!(lines(directory.path()).1.contains("is no data directory"));
        assert!(lines(&directory.path().join("x")).1.ends_with("is no directory"));
        let inner = directory.path().join("leveret");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("FORMAT"), "format = 99\n").unwrap();
        assert!(lines(directory.path()).1.contains("and holds one"));
        let (is_read, text) = lines(&inner);
        assert!(!is_read && text.contains("says format 99"), "{text}");
    }
}
