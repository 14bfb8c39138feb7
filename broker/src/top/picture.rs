//! What is seen of a look: lines of text, no longer than the screen is wide and no more than it is high.
//!
//! A room of `top`. Pure.

use serde_json::Value;

use super::Order;
use crate::ctl::fields::{flag, number, text};

const MIB: u64 = 1 << 20;

/// How it is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) order: Order,
    pub(super) filter: String,
    /// The filter that is being typed.
    pub(super) typed: Option<String>,
    pub(super) is_paused: bool,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Look {
    pub(super) overview: Value,
    pub(super) node: Value,
    pub(super) queues: Vec<Value>,
    /// Connections that are held back, and why.
    pub(super) held: Vec<(Value, String)>,
    /// What went wrong since.
    pub(super) trouble: Option<String>,
}

/// Letters in a line, and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Size {
    /// Where there is no screen nothing is cut off.
    pub(super) const PAPER: Self = Self { columns: usize::MAX, rows: usize::MAX };
}

/// The lines.
pub(super) fn lines(look: &Look, view: &View, size: Size) -> Vec<String> {
    let mut lines = head(look);
    let held = held(look);
    // Some queues are to be seen, however many connections are held.
    let room = size.rows.saturating_sub(lines.len() + 2);
    let for_held = held.len().min(room / 3);
    lines.push(String::new());
    lines.extend(queues(look, view).into_iter().take(room.saturating_sub(for_held)));
    lines.extend(held.into_iter().take(for_held));
    if size != Size::PAPER {
        lines.push(foot(view));
    }
    lines.into_iter().map(|line| cut(&line, size.columns)).collect()
}

/// What a client named its connection may have anything in it.
fn cut(line: &str, columns: usize) -> String {
    let shown = |letter: char| if letter.is_control() { '?' } else { letter };
    line.chars().take(columns).map(shown).collect()
}

fn head(look: &Look) -> Vec<String> {
    let (overview, node) = (&look.overview, &look.node);
    let of = |name: &str| overview.get(name).cloned().unwrap_or_default();
    let (objects, totals, rates) = (of("object_totals"), of("queue_totals"), of("message_stats"));
    let alarms = [("mem_alarm", "MEMORY"), ("disk_free_alarm", "DISK")];
    let alarms: Vec<_> =
        alarms.into_iter().filter(|(member, _)| flag(node, member)).map(|(_, name)| name).collect();
    let alarms = if alarms.is_empty() { "none".to_owned() } else { alarms.join(" ") };
    let rate = |name: &str| rate_of(&rates, name);
    let mut lines = vec![
        format!(
            "{} {}  up {}  memory {} of {} MiB  disk {} MiB free  alarms {alarms}",
            text(overview, "node"),
            text(overview, "leveret_version"),
            duration(number(node, "uptime") / 1000),
            number(node, "mem_used") / MIB,
            number(node, "mem_limit") / MIB,
            number(node, "disk_free") / MIB,
        ),
        format!(
            "{} connections  {} channels  {} queues  {} consumers  {} ready  {} unacknowledged",
            number(&objects, "connections"),
            number(&objects, "channels"),
            number(&objects, "queues"),
            number(&objects, "consumers"),
            number(&totals, "messages_ready"),
            number(&totals, "messages_unacknowledged"),
        ),
        format!(
            "{}/s in  {}/s confirmed  {}/s out  {}/s acknowledged  {}/s redelivered  {}/s returned",
            rate("publish"),
            rate("confirm"),
            rate("deliver_get"),
            rate("ack"),
            rate("redeliver"),
            rate("return_unroutable"),
        ),
    ];
    lines.extend(look.trouble.iter().map(|trouble| format!("! {trouble}")));
    lines
}

/// A rate, rounded.
fn rate_of(rates: &Value, name: &str) -> String {
    let details = rates.get(format!("{name}_details"));
    let rate = details.and_then(|details| details.get("rate")).and_then(Value::as_f64);
    format!("{:.0}", rate.unwrap_or_default())
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match days {
        0 => format!("{hours}:{minutes:02}:{:02}", seconds % 60),
        days => format!("{days}d {hours}:{minutes:02}"),
    }
}

const NUMBERS: [&str; 6] = ["ready", "unacked", "in/s", "out/s", "ack/s", "consumers"];
/// The longest name that is shown whole.
const NAME_MAX: usize = 60;

fn queues(look: &Look, view: &View) -> Vec<String> {
    let row = |queue: &Value| {
        let rates = queue.get("message_stats").cloned().unwrap_or_default();
        vec![
            text(queue, "name").to_owned(),
            text(queue, "vhost").to_owned(),
            text(queue, "type").to_owned(),
            number(queue, "messages_ready").to_string(),
            number(queue, "messages_unacknowledged").to_string(),
            rate_of(&rates, "publish"),
            rate_of(&rates, "deliver_get"),
            rate_of(&rates, "ack"),
            number(queue, "consumers").to_string(),
        ]
    };
    let names: Vec<&str> = ["queue", "vhost", "type"].into_iter().chain(NUMBERS).collect();
    let mut lines = table(&names, &look.queues.iter().map(row).collect::<Vec<_>>());
    if look.queues.is_empty() {
        lines.push(match view.filter.as_str() {
            "" => "no queues".to_owned(),
            filter => format!("no queues with '{filter}' in their names"),
        });
    }
    lines
}

fn held(look: &Look) -> Vec<String> {
    if look.held.is_empty() {
        return Vec::new();
    }
    let row = |(connection, why): &(Value, String)| {
        let word = |name| text(connection, name).to_owned();
        vec![word("name"), word("user"), word("vhost"), word("state"), word("held_by"), why.clone()]
    };
    let names = ["held connection", "user", "vhost", "state", "by", "why"];
    let mut lines = vec![String::new()];
    lines.extend(table(&names, &look.held.iter().map(row).collect::<Vec<_>>()));
    lines
}

/// Numbers to the right, all else to the left, the last column as long as it likes.
fn table(names: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count().min(NAME_MAX));
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(names).zip(&widths).map(|((cell, name), width)| {
            let most = if names.last() == Some(name) { usize::MAX } else { *width };
            let cell: String = cell.chars().take(most).collect();
            match NUMBERS.contains(name) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let header = line(&mut names.iter().copied());
    let rows = rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
    std::iter::once(header).chain(rows).collect()
}

fn foot(view: &View) -> String {
    if let Some(typed) = &view.typed {
        return format!("/{typed}_  (enter: filter by it, escape: leave it)");
    }
    let filter = match view.filter.as_str() {
        "" => String::new(),
        filter => format!(", with '{filter}'"),
    };
    let (order, paused) = (view.order.word(), if view.is_paused { "  PAUSED" } else { "" });
    format!("by {order}{filter}{paused}   q ends, s sorts (m r u i o n), / filters, space waits")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look() -> Look {
        let queue = |name: &str, ready: u64| {
            json!({"name": name, "vhost": "/", "type": "classic", "messages_ready": ready,
                "messages_unacknowledged": 2, "consumers": 1,
                "message_stats": {"publish_details": {"rate": 12.4}}})
        };
        let held = json!({"name": "a\u{1b}b", "state": "blocked"});
        Look {
            overview: json!({"node": "rabbit@h", "leveret_version": "1",
                "object_totals": {"queues": 2},
                "message_stats": {"publish_details": {"rate": 1000.2}}}),
            node: json!({"uptime": 90_061_000, "mem_alarm": true}),
            queues: vec![queue("orders", 100), queue("mails", 5)],
            held: vec![(held, "low on memory".to_owned())],
            trouble: None,
        }
    }

    #[test]
    fn a_broker_is_seen_at_a_glance() {
        let lines = lines(&look(), &View::default(), Size::PAPER);
        assert!(lines[0].starts_with("rabbit@h 1  up 1d 1:01  memory"), "{lines:?}");
        assert!(lines[0].ends_with("alarms MEMORY"), "{lines:?}");
        assert!(lines[2].starts_with("1000/s in"), "{lines:?}");
        assert_eq!(
            lines[4..7],
            [
                "queue   vhost  type     ready  unacked  in/s  out/s  ack/s  consumers",
                "orders  /      classic    100        2    12      0      0          1",
                "mails   /      classic      5        2    12      0      0          1",
            ]
        );
        assert!(lines[8].starts_with("held connection  user"), "{lines:?}");
        assert!(lines[9].starts_with("a?b ") && lines[9].ends_with("low on memory"), "{lines:?}");
    }

    #[test]
    fn a_screen_is_filled_and_not_more() {
        let mut look = look();
        look.queues = std::iter::repeat_n(look.queues[0].clone(), 100).collect();
        look.held = std::iter::repeat_n(look.held[0].clone(), 100).collect();
        let view = View { filter: "x".to_owned(), ..View::default() };
        let lines = lines(&look, &view, Size { columns: 40, rows: 24 });
        assert!(lines.len() <= 24, "{}", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{lines:?}");
        assert!(lines.last().is_some_and(|line| line.starts_with("by messages, with 'x'")));
        assert!(lines.iter().any(|line| line.starts_with("held connection")), "{lines:?}");
        let empty = Look { queues: Vec::new(), ..look };
        let told = super::lines(&empty, &view, Size::PAPER).join("\n");
        assert!(told.contains("no queues with 'x'"), "{told}");
    }
}
