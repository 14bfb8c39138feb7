//! `/api/overview/queues`: the queues that an operator looks at first. Ours.
//!
//! Asked by the page's overview, every some seconds and by many at once. Stays true: one look at each queue,
//! whatever is asked for, and none of them is put in order but those that lead; a queue in which there is
//! nothing, and which nobody paused, costs a look at its counts alone.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::extract::State;
use serde_json::{Map, Value};

use super::Management;
use super::answer::{Answer, Fault, blocking, json};
use super::authorization::Visitor;
use super::listing::{Columns, Row};
use super::queues::{Parts, QueueRow};
use super::ranges::Ranges;
use super::request::Query;
use super::standing::Standing;
use crate::clock;
use crate::vhost::Vhost;

/// How many lead, if nobody says otherwise,
const SIZE: usize = 20;
/// and at most.
const SIZE_MAX: usize = 100;

/// What queues lead by: how they stand, how long the oldest message waits, how many are ready, how long a
/// consumer has had one. Lists of queues are sorted by the same words.
const MEASURES: [&str; 4] = ["standing", "ready_for_ms", "messages_ready", "unacknowledged_for_ms"];

/// Those that lead by one measure, the first before the others.
struct Leaders<'a> {
    size: usize,
    rows: Vec<(u64, QueueRow<'a>)>,
}

impl<'a> Leaders<'a> {
    const fn new(size: usize) -> Self {
        Self { size, rows: Vec::new() }
    }

    /// One more queue; what measures nothing leads nowhere.
    fn see(&mut self, measure: u64, row: &QueueRow<'a>) {
        if measure == 0 {
            return;
        }
        let is_before = |(other, one): &(u64, QueueRow<'a>)| {
            other.cmp(&measure).reverse().then_with(|| one.by_name(row)) == Ordering::Less
        };
        if self.rows.len() == self.size && self.rows.last().is_none_or(is_before) {
            return;
        }
        let at = self.rows.partition_point(is_before);
        self.rows.truncate(self.size - 1);
        self.rows.insert(at, (measure, row.clone()));
    }
}

/// A queue by each of the measures.
fn measures(row: &QueueRow<'_>, now_ms: u64) -> [u64; MEASURES.len()] {
    let counts = row.queue.counts();
    let is_empty = counts.ready == 0 && counts.unacked == 0;
    if is_empty && row.queue.paused().is_none() {
        return [0; MEASURES.len()];
    }
    let truth = row.queue.truth();
    let standing = row.stands(&counts, truth.oldest_ready_ms);
    let age = |since_ms: Option<u64>| since_ms.map_or(0, |ms| now_ms.saturating_sub(ms));
    [
        // Whatever runs is of no concern.
        if standing > Standing::Running { u8::from(standing).into() } else { 0 },
        age(truth.oldest_ready_ms),
        counts.ready as u64,
        age(truth.oldest_unacked_ms),
    ]
}

/// Of all queues of these vhosts.
fn leading(
    vhosts: &[Arc<Vhost>],
    (parts, ranges): (Parts, &Ranges),
    size: usize,
    columns: &Columns,
) -> Value {
    let now_ms = clock::unix_millis();
    let mut leaders = MEASURES.map(|_| Leaders::new(size));
    for vhost in vhosts {
        for queue in vhost.queues() {
            let row = QueueRow { vhost, queue, parts, ranges };
            let measures = measures(&row, now_ms);
            leaders.iter_mut().zip(measures).for_each(|(them, measure)| them.see(measure, &row));
        }
    }
    let render = |(_, row): &(u64, QueueRow<'_>)| columns.of_value(row.render());
    let told = |them: Leaders<'_>| them.rows.iter().map(render).collect::<Value>();
    let all = MEASURES.iter().zip(leaders.map(told));
    all.map(|(measure, rows)| ((*measure).to_owned(), rows)).collect::<Map<_, _>>().into()
}

/// `GET /api/overview/queues?columns=name,vhost&size=20`: by each measure the queues that lead, of vhosts that
/// the visitor may see.
pub(super) async fn queues(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let vhosts = visitor.visible_vhosts(&management).await;
    let (parts, columns) = (Parts::of(&management, &query), Columns::of(&query));
    let ranges = Ranges::of(&management, &query)?;
    let size = query.get("size").map_or(Ok(SIZE), str::parse);
    let size = size.ok().filter(|size| (1..=SIZE_MAX).contains(size));
    let wrong = || Fault::bad_request(format!("size must be from 1 to {SIZE_MAX}"));
    let size = size.ok_or_else(wrong)?;
    let told = blocking(move || leading(&vhosts, (parts, &ranges), size, &columns));
    Ok(json(&told.await?))
}
