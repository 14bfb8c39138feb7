//! The configuration: mistakes, what has no effect, passwords that everybody knows, certificates.
//!
//! A room of `doctor`.

use super::finding::Finding;
use crate::clock;
use crate::config::{self, Config, ConfigError, ServeOptions, TlsOptions};
use crate::definitions::records;
use crate::password;
use crate::tls;

const KNOWN: &str = "guest";
/// Days that a certificate should still be good.
const DAYS_GOOD: u64 = 30;
const DAYS_BAD: u64 = 7;

/// What keeps a broker from starting with it.
pub(super) fn mistakes(
    options: &ServeOptions,
    error: &ConfigError,
    environment: impl Fn(&str) -> Option<String> + Copy,
) -> Vec<Finding> {
    let file = config::main_file(options, environment);
    let mut lines = match file.is_file() {
        true => config::Report::of(&file, environment).errors,
        false => Vec::new(),
    };
    // What is wrong may come from elsewhere: the environment, or what is beside the file.
    if lines.is_empty() {
        lines.push(error.to_string());
    }
    let finding = |line| Finding::bad("configuration", line, "the broker does not start with it");
    lines.into_iter().map(finding).collect()
}

/// What is set and has no effect.
pub(super) fn ignored(config: &Config) -> Vec<Finding> {
    let about = "configuration";
    let ignored = config.warnings.iter();
    let mut findings: Vec<_> =
        ignored.map(|line| Finding::warn(about, line.clone(), "take it out")).collect();
    if findings.is_empty() {
        let files: Vec<_> = config.files.iter().map(|file| file.display().to_string()).collect();
        let text = match files.is_empty() {
            true => "there is no file: all is as it is by default".to_owned(),
            false => format!("all of {} counts", files.join(", ")),
        };
        findings.push(Finding::ok(about, text));
    }
    findings
}

/// Whether a user has a password that everybody knows.
pub(super) fn passwords(config: &Config) -> Finding {
    let about = "password";
    let is_remote = |user: &str| {
        !config.authentication.loopback_users.iter().any(|only_here| only_here == user)
            && !config.listeners.addresses.iter().all(|address| address.ip().is_loopback())
    };
    let Some(user) = known_one(config) else {
        return Finding::ok(about, "no user has a password that everybody knows");
    };
    let advice = format!("change it: leveret ctl change_password {user} NEW");
    match is_remote(&user) {
        true => {
            let text = format!("user '{user}' has the password '{user}' and gets in from anywhere");
            Finding::bad(about, text, advice)
        }
        false => {
            let text = format!(
                "user '{user}' has the password '{user}', and gets in from this machine alone"
            );
            Finding::warn(about, text, advice)
        }
    }
}

/// A user whose password is its name: of those that are stored, or those of a first start.
fn known_one(config: &Config) -> Option<String> {
    let stored = leveret_storage::metadata::exported(&config.data_dir).ok();
    let stored = stored.and_then(|snapshot| records::load(&snapshot).ok());
    let Some(stored) = stored else {
        let seed = &config.seed;
        let is_made = config.load_definitions.paths.is_empty();
        return (is_made && seed.user == seed.password.expose()).then(|| seed.user.clone());
    };
    let has_known = |user: &&records::UserRecord| {
        let name = user.name.as_bytes();
        // Other hashes are slow on purpose: only the name that everybody tries is tried there.
        let is_tried = user.name == KNOWN || !user.password_hash.starts_with('$');
        is_tried && password::verify(user.hashing_algorithm, &user.password_hash, name)
    };
    stored.users.iter().find(has_known).map(|user| user.name.clone())
}

/// The certificates that listeners serve with.
pub(super) fn certificates(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !config.tls.addresses.is_empty() {
        findings.extend(certificate("of AMQP", &config.tls.options));
    }
    if let Some((_, options)) = &config.management.tls {
        findings.extend(certificate("of management", options));
    }
    findings
}

fn certificate(whose: &str, options: &TlsOptions) -> Vec<Finding> {
    let about = "certificate";
    let inspected = match tls::inspect(options) {
        Ok(inspected) => inspected,
        Err(error) => {
            return vec![Finding::bad(about, format!("{whose}: {error}"), "put that right")];
        }
    };
    let days = inspected.expires_seconds.saturating_sub(clock::unix_millis() / 1000) / 86_400;
    let text = format!("{whose}: {}, {days} days from now", inspected.about);
    let advice =
        "get a new one, and put it into ssl_options.certfile; it is read without a restart";
    let mut findings = vec![match days {
        0..DAYS_BAD => Finding::bad(about, text, advice),
        DAYS_BAD..DAYS_GOOD => Finding::warn(about, text, advice),
        _ => Finding::ok(about, text),
    }];
    let warning = |line| Finding::warn(about, format!("{whose}: {line}"), "get another");
    findings.extend(inspected.warnings.into_iter().map(warning));
    findings
}
