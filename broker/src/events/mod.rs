//! What happens in the broker, told to whoever listens at `amq.rabbitmq.event`, or watches over HTTP.
//!
//! Whoever makes something happen says so here, whatever locks it holds; `vhost::telling` publishes it
//! on a task of its own. `clients` and `definitions` know what there is to say of what, `terms` how
//! Erlang would print it. Stays true: while nothing is bound
//! to the exchange and nobody watches an event costs two loads, and is not made; events are told in the
//! order in which they were noted; so many wait at most, and what comes then is lost, with a line that
//! says how much.
//!
//! See <https://www.rabbitmq.com/docs/event-exchange>.

pub(crate) mod churn;
pub(crate) mod clients;
pub(crate) mod definitions;
mod terms;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leveret_protocol::types::{FieldTable, FieldValue};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;

use self::churn::Churn;
use crate::clock;
use crate::watched::Watched;

/// Where events are published, in the default vhost.
pub(crate) const EVENT_EXCHANGE: &str = "amq.rabbitmq.event";
/// Events that wait to be published, at most.
const WAITING_MAX: usize = 16 * 1024;
/// Events taken to be published at a time.
const STEP: usize = 256;
/// Who acts where nobody does: RabbitMQ's name for itself.
const NOBODY: &str = "rmq-internal";

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// What, as the routing key has it.
    pub key: &'static str,
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    fields: Vec<(&'static str, FieldValue)>,
}

impl Event {
    fn new(key: &'static str) -> Self {
        Self { key, at_ms: 0, fields: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<FieldValue>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn by(self, user: &str) -> Self {
        self.with("user_who_performed_action", user)
    }

    fn by_nobody(self) -> Self {
        self.by(NOBODY)
    }

    fn by_whoever_acts(self) -> Self {
        ACTING.with_borrow(|acting| match acting {
            Some(user) => self.by(user),
            None => self.by_nobody(),
        })
    }

    /// All there is to say of it, in the order of the names.
    pub(crate) fn headers(&self) -> FieldTable {
        let at_ms = i64::try_from(self.at_ms).unwrap_or(i64::MAX);
        let mut fields = self.fields.clone();
        fields.push(("timestamp_in_ms", FieldValue::I64(at_ms)));
        fields.sort_by_key(|(name, _)| *name);
        fields.into_iter().collect()
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Events {
    vhost: Box<str>,
    /// Something is bound to the exchange: its word.
    wanted: Arc<AtomicBool>,
    waiting: Mutex<Waiting>,
    news: Notify,
    /// Told to whoever looks.
    watched: Watched<Event>,
    churn: Churn,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    lost: u64,
}

impl Events {
    /// Those of a broker whose default vhost has this name.
    pub(crate) fn new(vhost: &str) -> Arc<Self> {
        Arc::new(Self {
            vhost: vhost.into(),
            wanted: Arc::default(),
            waiting: Mutex::default(),
            news: Notify::new(),
            watched: Watched::default(),
            churn: Churn::default(),
        })
    }

    /// The vhost where they are told.
    pub(crate) fn vhost(&self) -> &str {
        &self.vhost
    }

    /// How often what comes and goes did so.
    pub(crate) fn churn(&self) -> &Churn {
        &self.churn
    }

    /// Where the exchange says whether something is bound to it.
    pub(crate) fn wanted(&self) -> &Arc<AtomicBool> {
        &self.wanted
    }

    /// Whether somebody listens, or may once something is bound to this exchange.
    pub(crate) fn may_be_wanted(&self, exchange: &str) -> bool {
        self.is_wanted() || exchange == EVENT_EXCHANGE
    }

    /// Something happened. Does nothing while nobody listens.
    #[inline]
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.is_wanted() {
            self.note(event());
        }
    }

    #[inline]
    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) || self.watched.is_on()
    }

    /// Those who look at what happens.
    pub(crate) fn watched(&self) -> &Watched<Event> {
        &self.watched
    }

    #[cold]
    fn note(&self, mut event: Event) {
        event.at_ms = clock::unix_millis();
        if self.watched.is_on() {
            self.watched.tell(event.clone());
        }
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.events.len() < WAITING_MAX {
            waiting.events.push_back(event);
        } else {
            waiting.lost += 1;
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// Waits for events, and takes some.
    pub(crate) async fn next(&self) -> Vec<Event> {
        loop {
            let news = self.news.notified();
            let some = self.take();
            if !some.is_empty() {
                return some;
            }
            news.await;
        }
    }

    fn take(&self) -> Vec<Event> {
        let mut waiting = self.waiting.lock();
        let count = waiting.events.len().min(STEP);
        let some = waiting.events.drain(..count).collect();
        let lost = std::mem::take(&mut waiting.lost);
        drop(waiting);
        if lost > 0 {
            warn!("{lost} events were not told: more happened than could be published");
        }
        some
    }

    /// The keys of what waits; from the first call on somebody listens.
    #[cfg(test)]
    pub(crate) fn told(&self) -> Vec<&'static str> {
        self.wanted.store(true, Ordering::Relaxed);
        self.take().iter().map(|event| event.key).collect()
    }

    /// Until the guard goes, what happens on this thread is this user's doing; nothing while nobody
    /// listens, unless something is bound to this exchange now.
    pub(crate) fn acting(&self, user: &str, bound_to: &str) -> Option<Acting> {
        self.may_be_wanted(bound_to).then(|| {
            let before = ACTING.replace(Some(user.into()));
            Acting { before, not_sent: PhantomData }
        })
    }
}

thread_local! {
    /// Whose method is carried out on this thread. Nothing is waited for meanwhile.
    static ACTING: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// Somebody acts on this thread.
#[derive(Debug)]
#[must_use = "until it is dropped"]
pub(crate) struct Acting {
    /// Who did before, for whom this one acts.
    before: Option<Box<str>>,
    /// It stays on its thread.
    not_sent: PhantomData<*const ()>,
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTING.set(self.before.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event::new("a.b").with("z", 1_i64).with("a", "text").by_whoever_acts()
    }

    fn acted_by(event: &Event) -> String {
        let headers = event.headers();
        let user = headers.get("user_who_performed_action").and_then(FieldValue::as_str);
        user.unwrap_or_default().to_owned()
    }

    #[test]
    fn nothing_is_made_while_nobody_listens() {
        let events = Events::new("/");
        events.tell(|| panic!("an event was made"));
        assert!(events.acting("guest", "x").is_none() && events.take().is_empty());
    }

    #[tokio::test]
    async fn who_watches_is_told_and_nothing_waits_for_the_exchange() {
        let events = Events::new("/");
        let mut watch = events.watched().watch();
        events.tell(event);
        assert_eq!(watch.next().await.map(|seen| seen.map(|event| event.key)), Some(Ok("a.b")));
        assert!(events.take().is_empty());
        drop(watch);
        events.tell(|| panic!("an event was made"));
    }

    #[test]
    fn events_come_in_their_order_and_so_many_wait_at_most() {
        let events = Events::new("/");
        events.wanted().store(true, Ordering::Relaxed);
        for _ in 0..WAITING_MAX + 2 {
            events.tell(event);
        }
        assert_eq!(events.waiting.lock().lost, 2);
        let mut taken = 0;
        while let Some(last) = events.take().last() {
            taken += STEP.min(WAITING_MAX - taken);
            assert!(last.at_ms > 0);
        }
        assert_eq!((taken, events.waiting.lock().lost), (WAITING_MAX, 0));
    }

    #[test]
    fn fields_are_in_the_order_of_their_names_and_say_who_did_it() {
        let events = Events::new("/");
        events.wanted().store(true, Ordering::Relaxed);
        assert_eq!(acted_by(&event()), NOBODY);
        let acting = events.acting("somebody", "");
        assert_eq!(acted_by(&event()), "somebody");
        drop(acting);
        assert_eq!(acted_by(&event()), NOBODY);
        let headers = event().headers();
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "timestamp_in_ms", "user_who_performed_action", "z"]);
    }
}
