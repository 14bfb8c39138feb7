//! Every key of RabbitMQ's answers, and the types of what is there: those that we have not are named in
//! the book, with a reason.
//!
//! What RabbitMQ tells is kept beside this, a file a resource: key paths with types, by version, no
//! values. `take` makes those files anew from a running RabbitMQ, `take --from` from answers that were kept.
//! The row `nothing is missing without a reason` takes ours in the same way and compares.

mod asked;
mod metrics;
mod missing;
mod paths;
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use leveret_tests::broker_under_test::repository;
use serde_json::Value;

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row};

use asked::{ASKED, Names};
use paths::{Keys, paths_of};
use stage::Stage;

pub(crate) const ROWS: &[Row] = &[
    ("nothing is missing without a reason", Leveret, compare),
    ("what another broker tells is kept", Any, keep),
];

/// By what was asked: the keys of the answer and their types.
type Taken = BTreeMap<String, Keys>;

/// Where the keys of RabbitMQ are kept.
fn kept() -> PathBuf {
    repository().join("tests/management/keys")
}

/// Sets the stage at a broker, and asks it everything.
fn take(api: &Api) -> Taken {
    let stage = Stage::set(api);
    let names = stage.names(api);
    let mut taken = Taken::new();
    for (method, path, body) in ASKED {
        let reply = api.ask(method, &names.put_into(path), body);
        let value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        let label = format!("{method} {path}");
        taken.insert(label, paths_of(reply.status, &names.ours_of(value), &names.node));
    }
    taken.extend(metrics::taken(api));
    stage.strike(api);
    taken
}

fn compare(api: &Api) {
    let ours = take(api);
    let kept = paths::read(&kept());
    assert!(kept.len() > 60, "{} answers are kept", kept.len());
    let (named, faults) = missing::compare(&kept, &ours, &missing::table());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(named > 0, "nothing is missing, and the book has a table of it");
}

/// Writes what a broker tells into the files, for `take`: `LEVERET_KEYS` is its version, and
/// `LEVERET_KEYS_FROM` a folder of answers, where it is not a running broker that is asked.
fn keep(api: &Api) {
    let Ok(version) = std::env::var("LEVERET_KEYS") else { return };
    let taken = match std::env::var("LEVERET_KEYS_FROM") {
        Ok(folder) => from_files(Path::new(&folder)),
        Err(_) => take(api),
    };
    paths::write(&kept(), &version, &taken);
}

/// Of answers in files: a line with the status, then the body.
fn from_files(folder: &Path) -> Taken {
    let names = Names::of_files();
    let mut taken = Taken::new();
    for (method, path, _) in ASKED {
        let Ok(text) = std::fs::read_to_string(folder.join(names.file_of(path))) else { continue };
        let (head, body) = text.split_once('\n').expect("a line with the status");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let value = serde_json::from_str(body).unwrap_or(Value::Null);
        let keys = paths_of(status.expect("a status"), &value, &names.node);
        taken.insert(format!("{method} {path}"), keys);
    }
    taken.extend(metrics::from_files(folder));
    taken
}
