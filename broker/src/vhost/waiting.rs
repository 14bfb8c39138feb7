//! What waits for its time in a vhost, for whoever administrates it: listed, and cancelled.
//!
//! Stays true: a list costs by what is on its page, and by the bodies there that are on disk; what is
//! cancelled is gone for good once the `Durable` is.

use super::Vhost;
use crate::definitions::store::Durable;
use crate::keys::WaitingPlace;
use crate::message::Message;
use crate::queue::Effects;
use crate::queue::waiting::Waiting;

/// Messages on a page at most.
const PAGE_MESSAGES: usize = 256;
/// Bytes of the messages on a page, unless it is a single one.
const PAGE_BYTES: usize = 16 << 20;

impl Vhost {
    /// The first messages that wait after a place, those due first before all others: at most so many,
    /// and 256. The next page is after the last of them; an empty one is the end. Blocks.
    pub(crate) fn delayed_messages(
        &self,
        after: Option<WaitingPlace>,
        most: usize,
    ) -> Vec<Waiting> {
        let page = (most.min(PAGE_MESSAGES), PAGE_BYTES);
        self.delayed.get().map_or_else(Vec::new, |queue| queue.waiting_after(after, page))
    }

    /// Has a message not come when it is due. Returns whether it still waited.
    pub(crate) fn cancel_delayed(&self, place: WaitingPlace) -> (bool, Durable) {
        let (count, durable) = self.withdraw(vec![place]);
        (count > 0, durable)
    }

    /// The same for all that wait for an exchange now and are meant. Returns how many these were. Goes in
    /// steps, over all that wait: blocks.
    pub(crate) fn cancel_delayed_of(
        &self,
        exchange: &str,
        is_meant: impl Fn(&Message) -> bool,
    ) -> (usize, Durable) {
        let (mut cancelled, mut last) = (0, Durable::now());
        let mut after = None;
        loop {
            let page = self.delayed_messages(after, PAGE_MESSAGES);
            let Some(end) = page.last() else { return (cancelled, last) };
            after = Some(end.place);
            let is_for_it = |waiting: &&Waiting| {
                let is_it =
                    |message: &Message| message.routed_by() == exchange && is_meant(message);
                waiting.message.as_ref().is_some_and(is_it)
            };
            let places: Vec<_> =
                page.iter().filter(is_for_it).map(|waiting| waiting.place).collect();
            if !places.is_empty() {
                let (count, durable) = self.withdraw(places);
                cancelled += count;
                last = durable;
            }
        }
    }

    fn withdraw(&self, places: Vec<WaitingPlace>) -> (usize, Durable) {
        let Some(queue) = self.delayed.get() else { return (0, Durable::now()) };
        let mut effects = Effects::default();
        let count = queue.withdraw(places, &mut effects);
        effects.durable.awaited = true;
        effects.store(&self.messages);
        let forgotten = self.messages.last();
        (count, Durable::now().and_forgotten(&self.messages, Some(forgotten)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use leveret_protocol::properties::BasicProperties;
    use leveret_protocol::types::{FieldTable, RawTable};

    use super::*;
    use crate::config::{Config, ServeOptions};
    use crate::message::Marks;
    use crate::message::tests::{persistent, with_properties};
    use crate::startup::{self, Started};
    use crate::vhost::records::TopologyChanges;

    fn start(directory: &Path) -> (Started, Arc<Vhost>) {
        let data_dir = Some(directory.join("data"));
        let options = ServeOptions { data_dir, ..ServeOptions::default() };
        let started = startup::start(&Config::load(&options, |_| None).unwrap()).unwrap();
        let vhost = started.broker.vhost("/").unwrap();
        (started, vhost)
    }

    /// A message to the exchange `x` that waits for so many minutes.
    fn delayed(minutes: i32) -> Message {
        let headers: FieldTable = [("x-delay", minutes * 60_000)].into_iter().collect();
        let entries = headers.to_bytes();
        let headers = Some(RawTable::new(&entries));
        let properties = BasicProperties { headers, ..BasicProperties::default() };
        let body = minutes.to_string();
        persistent(with_properties(&properties, body.as_bytes())).marked(Marks::DELAYED)
    }

    fn publish(vhost: &Vhost, messages: &[Message]) {
        let mut changes = TopologyChanges::default();
        vhost.make_delayed_queue(&mut changes);
        vhost.propose(changes);
        let queue = vhost.delayed.get().unwrap();
        let mut effects = Effects::default();
        for message in messages {
            let mut places = smallvec::SmallVec::new();
            let sequence = queue.offer(message.clone(), &mut effects).unwrap().unwrap();
            effects.note_place(queue, sequence, message, &mut places);
            effects.store_message(message, places, true);
        }
        effects.store(&vhost.messages);
    }

    fn bodies(page: &[Waiting]) -> Vec<String> {
        let body =
            |waiting: &Waiting| waiting.message.as_ref().map(|message| message.body().to_vec());
        page.iter().map(|w| String::from_utf8(body(w).unwrap_or_default()).unwrap()).collect()
    }

    /// After a restart all of it is on disk.
    #[test]
    fn what_waits_is_listed_and_cancelled_for_good() {
        let directory = tempfile::tempdir().unwrap();
        let (started, vhost) = start(directory.path());
        assert!(vhost.delayed_messages(None, 10).is_empty());
        let elsewhere = delayed(25).published_anew("y", "k", &BasicProperties::default()).unwrap();
        let elsewhere = elsewhere.with_headers(&delayed(25).header_table()).unwrap();
        let elsewhere = elsewhere.marked(Marks::DELAYED);
        publish(&vhost, &[delayed(30), delayed(10), elsewhere, delayed(20), delayed(40)]);
        let gone = vhost.delayed_messages(None, 1)[0].place;
        assert!(vhost.cancel_delayed(gone).0);
        assert!(!vhost.cancel_delayed(gone).0);
        drop(vhost);
        started.close().unwrap();
        for _ in 0..2 {
            let (started, vhost) = start(directory.path());
            let first = vhost.delayed_messages(None, 2);
            assert_eq!(bodies(&first), ["20", "25"]);
            assert!(first[0].size > 2 && first[0].place.due_ms < first[1].place.due_ms);
            let rest = vhost.delayed_messages(Some(first[1].place), 10);
            assert_eq!((bodies(&rest), vhost.delayed_count()), (vec!["30".into(), "40".into()], 4));
            assert!(vhost.delayed_messages(Some(rest[1].place), 10).is_empty());
            drop(vhost);
            started.close().unwrap();
        }
        let (started, vhost) = start(directory.path());
        assert_eq!(vhost.cancel_delayed_of("nowhere", |_| true).0, 0);
        assert_eq!(vhost.cancel_delayed_of("x", |message| message.body() == b"1").0, 0);
        assert_eq!(vhost.cancel_delayed_of("x", |_| true).0, 3);
        drop(vhost);
        started.close().unwrap();
        let (started, vhost) = start(directory.path());
        assert_eq!(bodies(&vhost.delayed_messages(None, 10)), ["25"]);
        drop(vhost);
        started.close().unwrap();
    }
}
