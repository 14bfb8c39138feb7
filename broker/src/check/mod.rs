//! `leveret check`: whether all is well, for Nagios and its like. One line with data for charts; 0 is OK,
//! 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
//!
//! Called by `main`. It asks a broker as `ctl` does; `node`, `queues` and `ports` look, `verdict` says what
//! comes of it. Stays true: nothing is changed, a mistake in the command line is UNKNOWN, and a broker that
//! does not answer is CRITICAL.

mod node;
mod ports;
mod queues;
mod verdict;

use clap::{Args, ValueEnum};

use self::verdict::{Found, Status, line};
use crate::config;
use crate::ctl::client::Client;
use crate::ctl::failure::{Failed, LATE};
use crate::ctl::whom::Whom;

/// What can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// No alarm blocks publishers
    Alarms,
    /// Every listener answers, or those that --port says
    Port,
    /// Memory in use, of the watermark
    Memory,
    /// Free disk space
    Disk,
    /// File descriptors in use, of those allowed
    Descriptors,
    /// Open connections
    Connections,
    /// How many days certificates are still good
    Certificate,
    /// How long queues are, who consumes, how old their messages are
    #[value(alias = "queue")]
    Queues,
}

/// What is checked, and from where on it is bad. What passes a level alerts: more than it, or less where
/// less is bad.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
  leveret check
  leveret check alarms port disk --disk-critical 2GB
  leveret check queues --queue orders --messages-warning 1000 --messages-critical 10000 --consumers-critical 1
Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")]
pub struct CheckArguments {
    /// What is checked; without any, all but connections and queues
    #[arg(value_enum)]
    subjects: Vec<Subject>,
    #[command(flatten)]
    whom: Whom,
    /// A port that has to answer; may be said more than once
    #[arg(long = "port", value_name = "N")]
    ports: Vec<u16>,
    /// Where the ports are; without it, where the broker is
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Percent of the watermark
    #[arg(long, value_name = "PERCENT", default_value = "80")]
    memory_warning: u64,
    /// Percent of the watermark
    #[arg(long, value_name = "PERCENT", default_value = "100")]
    memory_critical: u64,
    /// Free space; twice the limit unless said
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    disk_warning: Option<u64>,
    /// Free space; the limit unless said
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    disk_critical: Option<u64>,
    /// Percent of what is allowed
    #[arg(long, value_name = "PERCENT", default_value = "80")]
    descriptors_warning: u64,
    /// Percent of what is allowed
    #[arg(long, value_name = "PERCENT", default_value = "95")]
    descriptors_critical: u64,
    /// Open connections
    #[arg(long, value_name = "N")]
    connections_warning: Option<u64>,
    /// Open connections
    #[arg(long, value_name = "N")]
    connections_critical: Option<u64>,
    /// Days that a certificate is still good
    #[arg(long, value_name = "DAYS", default_value = "30")]
    days_warning: u64,
    /// Days that a certificate is still good
    #[arg(long, value_name = "DAYS", default_value = "7")]
    days_critical: u64,
    #[command(flatten)]
    queues: queues::Queues,
}

fn bytes(text: &str) -> Result<u64, &'static str> {
    config::size(text).ok_or("expected a size such as 500MB or 2GiB")
}

/// What is checked if nobody says.
const ALL: [Subject; 6] = [
    Subject::Alarms,
    Subject::Port,
    Subject::Memory,
    Subject::Disk,
    Subject::Descriptors,
    Subject::Certificate,
];

/// The exit code of a mistake in the command line.
pub const UNKNOWN: u8 = Status::Unknown.code();

/// Checks, and prints the line. The exit code.
#[expect(clippy::print_stdout, reason = "the line is what was asked for")]
pub fn run(asked: &CheckArguments, environment: impl Fn(&str) -> Option<String>) -> u8 {
    let found = match asked.whom.client(&environment) {
        Ok(client) => asked.look(&client),
        Err(failed) => vec![of_failure(&failed)],
    };
    let (status, line) = line(&found);
    println!("{line}");
    status.code()
}

impl CheckArguments {
    fn look(&self, client: &Client) -> Vec<Found> {
        let mut subjects = self.subjects.clone();
        // Whoever names a queue or a port wants that one checked.
        let named =
            [(self.queues.are_named(), Subject::Queues), (!self.ports.is_empty(), Subject::Port)];
        for (is_named, subject) in named {
            if is_named && !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        if subjects.is_empty() {
            subjects.extend(ALL);
        }
        let mut found = Vec::new();
        for subject in subjects {
            match self.of(subject, client) {
                Ok(more) => found.extend(more),
                // One that cannot be reached is told once.
                Err(failed) => {
                    let failure = of_failure(&failed);
                    if !found.contains(&failure) {
                        found.push(failure);
                    }
                }
            }
        }
        found
    }

    fn of(&self, subject: Subject, client: &Client) -> Result<Vec<Found>, Failed> {
        match subject {
            Subject::Port => ports::check(client, self.host.as_deref(), &self.ports),
            Subject::Queues => self.queues.check(client),
            Subject::Certificate => node::certificates(client, self).map(|found| vec![found]),
            Subject::Alarms
            | Subject::Memory
            | Subject::Disk
            | Subject::Descriptors
            | Subject::Connections => node::check(client, subject, self).map(|found| vec![found]),
        }
    }
}

/// A broker that cannot be reached is as bad as can be; one that refuses an answer, nobody can say.
fn of_failure(failed: &Failed) -> Found {
    match failed {
        Failed::Refused(text, code) if *code == LATE || text.starts_with("unable to perform") => {
            Found::new(Status::Critical, text.clone())
        }
        Failed::Refused(text, _) | Failed::Plain(text, _) | Failed::Usage(text, _) => {
            Found::new(Status::Unknown, text.clone())
        }
    }
}
