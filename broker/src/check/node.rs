//! The broker as a whole: alarms, memory, disk, descriptors, connections, certificates.
//!
//! A room of `check`. Asked of the overview, the node, and the health check of certificates, which tells
//! until when each is good.

use serde_json::Value;

use super::verdict::{Datum, Found, Levels, Status};
use super::{CheckArguments, Subject};
use crate::clock;
use crate::ctl::client::Client;
use crate::ctl::failure::Failed;
use crate::ctl::fields::{flag, list, number, text};

/// Within so many days every certificate expires: it is a way to ask for them all.
const A_CENTURY: u64 = 36_500;

const MIB: u64 = 1 << 20;

/// Checks one thing that the overview or the node tells of.
pub(super) fn check(
    client: &Client,
    subject: Subject,
    asked: &CheckArguments,
) -> Result<Found, Failed> {
    if subject == Subject::Connections {
        let overview = client.get("/overview?columns=object_totals")?;
        let totals = overview.get("object_totals").cloned().unwrap_or_default();
        let levels = Levels::above(asked.connections_warning, asked.connections_critical);
        return Ok(connections(number(&totals, "connections"), levels));
    }
    let nodes = client.get("/nodes")?;
    let first = nodes.as_array().and_then(|nodes| nodes.first());
    let node = first.ok_or_else(|| Failed::refused("the broker knows of no node"))?;
    Ok(match subject {
        Subject::Memory => memory(node, asked),
        Subject::Disk => disk(node, asked),
        Subject::Descriptors => descriptors(node, asked),
        Subject::Alarms
        | Subject::Port
        | Subject::Connections
        | Subject::Certificate
        | Subject::Queues => alarms(node),
    })
}

fn alarms(node: &Value) -> Found {
    let raised = [("mem_alarm", "memory"), ("disk_free_alarm", "disk")];
    let raised: Vec<_> = raised.into_iter().filter(|(member, _)| flag(node, member)).collect();
    let count = Datum::new("alarms", raised.len() as u64, "", Levels::above(None, Some(0)));
    let names: Vec<_> = raised.iter().map(|(_, name)| *name).collect();
    match names.is_empty() {
        true => Found::new(Status::Ok, "no alarms").with([count]),
        false => {
            let text = format!("publishers are blocked: low on {}", names.join(" and "));
            Found::new(Status::Critical, text).with([count])
        }
    }
}

/// A share in percent.
fn percent(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn memory(node: &Value, asked: &CheckArguments) -> Found {
    let (used, limit) = (number(node, "mem_used"), number(node, "mem_limit"));
    let share = percent(used, limit);
    let levels = Levels::above(Some(asked.memory_warning), Some(asked.memory_critical));
    let text = format!("memory {share} % of {} MiB", limit / MIB);
    let data = [
        Datum::new("memory", share, "%", levels),
        Datum::new("memory_used", used, "B", Levels::default()),
    ];
    Found::new(levels.status(share), text).with(data)
}

fn disk(node: &Value, asked: &CheckArguments) -> Found {
    let (free, limit) = (number(node, "disk_free"), number(node, "disk_free_limit"));
    let warning = asked.disk_warning.unwrap_or_else(|| limit.saturating_mul(2));
    let critical = asked.disk_critical.unwrap_or(limit);
    let levels = Levels::below(Some(warning), Some(critical));
    let text = format!("disk {} MiB free, the limit is {} MiB", free / MIB, limit / MIB);
    Found::new(levels.status(free), text).with([Datum::new("disk_free", free, "B", levels)])
}

fn descriptors(node: &Value, asked: &CheckArguments) -> Found {
    let (used, limit) = (number(node, "fd_used"), number(node, "fd_total"));
    let share = percent(used, limit);
    let levels = Levels::above(Some(asked.descriptors_warning), Some(asked.descriptors_critical));
    let text = format!("descriptors {share} % of {limit}");
    Found::new(levels.status(share), text).with([Datum::new("descriptors", share, "%", levels)])
}

fn connections(count: u64, levels: Levels) -> Found {
    let text = format!("{count} connections");
    Found::new(levels.status(count), text).with([Datum::new("connections", count, "", levels)])
}

/// Until when the certificates are good that the broker serves.
pub(super) fn certificates(client: &Client, asked: &CheckArguments) -> Result<Found, Failed> {
    let path = format!("/health/checks/certificate-expiration/{A_CENTURY}/days");
    let answer = client.ask("GET", &path, None)?;
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match answer.status {
        200 | 503 => {}
        _ => return Err(crate::ctl::client::refusal(&answer)),
    }
    let levels = Levels::below(Some(asked.days_warning), Some(asked.days_critical));
    let all: Vec<&str> =
        list(&told, "expired").iter().map(|one| text(one, "certificate")).collect();
    Ok(of_certificates(&all, clock::unix_millis() / 1000, levels))
}

/// The one that expires first, of texts such as `CN=broker, valid until 2027-01-01T00:00:00Z`.
fn of_certificates(all: &[&str], now_seconds: u64, levels: Levels) -> Found {
    let until = |text: &str| {
        let (_, date) = text.rsplit_once("valid until ")?;
        let moment = humantime::parse_rfc3339(date.trim()).ok()?;
        moment.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
    };
    let first = all.iter().filter_map(|one| Some((until(one)?, *one))).min();
    let Some((until, about)) = first else {
        return Found::new(Status::Ok, "no certificates");
    };
    let days = until.saturating_sub(now_seconds) / 86_400;
    let datum = Datum::new("certificate_days", days, "", levels);
    match until <= now_seconds {
        true => Found::new(Status::Critical, format!("the certificate expired: {about}")),
        false => Found::new(levels.status(days), format!("certificate good for {days} days")),
    }
    .with([datum])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_798_761_600; // 2027-01-01T00:00:00Z

    #[test]
    fn the_certificate_that_expires_first_counts() {
        let levels = Levels::below(Some(30), Some(7));
        let until = |date: &str| format!("CN=broker, valid until {date}T00:00:00Z");
        for (dates, expected) in [
            (vec!["2027-02-10"], (Status::Ok, "certificate good for 40 days")),
            (vec!["2028-01-01", "2027-01-09"], (Status::Warning, "certificate good for 8 days")),
            (vec!["2027-01-03"], (Status::Critical, "certificate good for 2 days")),
            (vec![], (Status::Ok, "no certificates")),
        ] {
            let all: Vec<String> = dates.into_iter().map(until).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let found = of_certificates(&all, NOW, levels);
            assert_eq!((found.status, found.text.as_str()), expected);
        }
        let gone = of_certificates(&[&until("2026-12-31")], NOW, Levels::default());
        assert_eq!(gone.status, Status::Critical, "{gone:?}");
    }

    #[test]
    fn shares_are_of_something() {
        assert_eq!((percent(1, 3), percent(5, 0), percent(u64::MAX, 1)), (33, 500, u64::MAX));
    }
}
