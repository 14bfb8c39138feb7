//! The policies of a vhost, and how they reach its queues and exchanges.
//!
//! Called by `startup` and `import`, and by management when somebody changes a policy; what is declared
//! is governed by `vhost::topology`. Stays true: whatever can be found by its name has the arguments
//! that the newest policies give it, or stands in a list that somebody works off step by step. That
//! holds because policies are replaced, and read for a declaration, under the topology lock, a list is
//! made after they were replaced, and those who work off lists do so one at a time, by the policies of
//! the moment.

use std::sync::Arc;

use serde_json::Value;
use tracing::{Level, debug, enabled};

use super::Vhost;
use super::destination::{Destination, Exchange};
use super::records::TopologyChanges;
use super::topology::assert_room;
use crate::definitions::command::{Command, PolicyChange};
use crate::definitions::store::Durable;
use crate::error::{ConnectionError, ResourceName};
use crate::events::definitions;
use crate::policy::{self, Effective, Policies, Policy, PolicyKind, QueueType};
use crate::queue::Queue;

/// Queues and exchanges that are looked at in one step: a millisecond of work with a hundred policies.
const STEP: usize = 64;

impl Vhost {
    /// The policies there are now.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.policies.load_full()
    }

    /// Brings policies back at start, before queues and exchanges.
    pub(crate) fn restore_policies(&self, stored: impl IntoIterator<Item = Policy>) {
        let ordered = self.topology.lock();
        let mut policies = Policies::clone(&self.policies.load());
        stored.into_iter().for_each(|policy| policies.put(policy));
        self.policies.store(Arc::new(policies));
        drop(ordered);
        self.policies_changed_now();
    }

    /// Makes changes to policies, in their order. They count at once for what is declared from now
    /// on, and for all there is when whoever waits has been told.
    ///
    /// # Errors
    /// The disk is full, or the vhost is being deleted; then nothing is changed.
    pub(crate) fn change_policies(
        self: &Arc<Self>,
        changes: Vec<PolicyChange>,
    ) -> Result<Durable, ConnectionError> {
        let has_room = self.definitions.has_room();
        let ordered = self.topology.lock();
        self.assert_open()?;
        let adds = changes.iter().any(|change| matches!(change, PolicyChange::Put(_)));
        assert_room(adds, has_room)?;
        if changes.iter().any(has_messages_wait) {
            let mut made = TopologyChanges::default();
            self.make_delayed_queue(&mut made);
            self.propose(made);
        }
        let mut policies = Policies::clone(&self.policies.load());
        let commands: Vec<Command> = changes.iter().cloned().map(Command::from).collect();
        let proposal = self.definitions.propose(&commands);
        for change in changes {
            self.tell_of_policy(&change);
            match change {
                PolicyChange::Put(policy) => policies.put(policy),
                PolicyChange::Delete(key) => policies.remove(key.kind, &key.name),
            }
        }
        self.policies.store(Arc::new(policies));
        drop(ordered);
        let vhost = Arc::clone(self);
        let durable = proposal.map(Durable::from).unwrap_or_default();
        Ok(durable.and_rest(async move {
            vhost.policies_changed().await;
            Durable::now()
        }))
    }

    pub(super) fn tell_of_policy(&self, change: &PolicyChange) {
        let is_operators = |kind| kind == PolicyKind::Operator;
        match change {
            PolicyChange::Put(policy) => {
                if is_operators(policy.kind) {
                    self.events.tell(|| definitions::operator_policy_set(policy));
                }
                self.events.tell(|| definitions::policy_set(policy));
            }
            PolicyChange::Delete(key) => {
                if is_operators(key.kind) {
                    self.events
                        .tell(|| definitions::operator_policy_cleared(&key.vhost, &key.name));
                }
                self.events.tell(|| definitions::policy_cleared(&key.vhost, key.kind, &key.name));
            }
        }
    }

    /// Gives all there is the arguments that the policies of now make of its own, letting others run
    /// between the steps.
    pub(crate) async fn policies_changed(&self) {
        let mut left = self.all_governed();
        while self.govern_some(&mut left) {
            tokio::task::yield_now().await;
        }
    }

    /// The same at once, while nobody waits.
    pub(crate) fn policies_changed_now(&self) {
        let mut left = self.all_governed();
        while self.govern_some(&mut left) {}
    }

    fn all_governed(&self) -> Vec<Destination> {
        let exchanges = self.exchanges.iter().map(|entry| Arc::clone(entry.value()));
        let exchanges = exchanges.map(Destination::Exchange);
        let queues = self.queues().into_iter().map(Destination::Queue);
        exchanges.chain(queues).collect()
    }

    /// One step; false when nothing is left.
    fn govern_some(&self, left: &mut Vec<Destination>) -> bool {
        let _one_at_a_time = self.governing.lock();
        let step = left.split_off(left.len().saturating_sub(STEP));
        for governed in step {
            match governed {
                Destination::Exchange(exchange) => self.govern_exchange(&exchange),
                Destination::Queue(queue) => self.govern_queue(&queue),
            }
        }
        !left.is_empty()
    }

    /// Gives a queue the arguments that count for it. Called before it can be found, or by whoever
    /// governs.
    pub(super) fn govern_queue(&self, queue: &Arc<Queue>) {
        let policies = self.policies.load();
        let declared = queue.arguments();
        let applied = policies.of_queue(queue.name(), QueueType::of(&declared));
        if applied.is_nothing() && queue.is_as_declared() && !queue.is_amended() {
            return;
        }
        let effective = policy::effective(&declared, applied);
        if *queue.effective_arguments() != *effective.arguments() {
            tell(&self.queue_name(queue.name()), &effective);
            queue.set_effective(effective.arguments());
        }
    }

    /// The same for an exchange. What was routed over it does not count any more if that makes a
    /// difference.
    pub(super) fn govern_exchange(&self, exchange: &Exchange) {
        let policies = self.policies.load();
        let applied = policies.of_exchange(exchange.name());
        let effective = policy::effective_of_exchange(&exchange.settings().arguments, applied);
        if exchange.set_effective(&effective) {
            tell(&self.exchange_name(exchange.name()), &effective);
            self.topology_changed();
        }
    }
}

/// Whether an exchange may need a place for messages that wait.
fn has_messages_wait(change: &PolicyChange) -> bool {
    let PolicyChange::Put(policy) = change else { return false };
    policy.definition.get("delayed-message").and_then(Value::as_bool) == Some(true)
}

fn tell(resource: &ResourceName, effective: &Effective) {
    if !enabled!(Level::DEBUG) {
        return;
    }
    let names = effective.arguments().iter().map(|(name, _)| name);
    let by = |name| effective.origin(name).map(|origin| format!("{name} by {origin}"));
    let arguments: Vec<_> = names.filter_map(by).collect();
    debug!("{resource} goes by these arguments: [{}]", arguments.join(", "));
}

#[cfg(test)]
mod tests {
    use leveret_protocol::properties::BasicProperties;
    use leveret_protocol::types::{FieldTable, FieldValue, RawTable};
    use std::time::Duration;

    use leveret_storage::metadata::MetadataStore;
    use serde_json::json;

    use super::super::bindings::Ends;
    use super::super::destination::ExchangeSettings;
    use super::super::routing::{Holds, Route, Routed};
    use super::super::topology::Changed;
    use super::*;
    use crate::definitions::held::HeldMetadata;
    use crate::definitions::parameters::{self, PolicyKey};
    use crate::definitions::records::{self, DestinationKind, VhostRecord};
    use crate::definitions::store::DefinitionStore;
    use crate::events::Events;
    use crate::exchange::ExchangeKind;
    use crate::keys::{ConnectionId, Outcome};
    use crate::message::tests::message;
    use crate::policy::{Draft, PolicyKind};
    use crate::queue::arguments::{self, EXPIRY_MS_MAX};
    use crate::queue::{Effects, Got, QueueSettings};
    use crate::stores::tests::in_memory;
    use crate::vhost::deduplicating::Sight;

    const ME: ConnectionId = ConnectionId(1);

    struct Rig {
        store: Arc<HeldMetadata>,
        vhost: Arc<Vhost>,
    }

    fn rig() -> Rig {
        let store = HeldMetadata::new();
        let definitions = Arc::new(DefinitionStore::new(Arc::clone(&store) as _, 1));
        let vhost = Vhost::new(
            VhostRecord::plain("/"),
            definitions,
            in_memory(),
            Arc::default(),
            Arc::default(),
            Events::new("/"),
        );
        Rig { store, vhost }
    }

    fn policy(name: &str, pattern: &str, definition: Value) -> Policy {
        let pattern = json!(pattern);
        let draft =
            Draft { pattern: Some(&pattern), definition: Some(&definition), ..Draft::default() };
        Policy::new(PolicyKind::Policy, "/", name, draft).unwrap()
    }

    fn done<T>(changed: Changed<T>) -> T {
        changed.unwrap_or_else(|refusal| panic!("refused: {refusal:?}")).0
    }

    #[test]
    fn every_change_is_told() {
        let rig = rig();
        assert!(rig.vhost.events.told().is_empty());
        rig.put("p", "^q", json!({"max-length": 1}));
        rig.delete("p");
        assert_eq!(rig.vhost.events.told(), ["policy.set", "policy.cleared"]);
        let kind = PolicyKind::Operator;
        let operators = Policy { kind, ..policy("p", "^q", json!({"max-length": 1})) };
        rig.change(PolicyChange::Put(operators));
        let (vhost, name) = ("/".to_owned(), "p".to_owned());
        rig.change(PolicyChange::Delete(PolicyKey { kind, vhost, name }));
        let set = ["parameter.set", "policy.set"];
        let cleared = ["parameter.cleared", "operator.policy.cleared"];
        assert_eq!(rig.vhost.events.told(), [set, cleared].concat());
    }

    impl Rig {
        /// Makes a change and applies it to all there is.
        fn change(&self, change: PolicyChange) {
            drop(self.vhost.change_policies(vec![change]).unwrap());
            self.vhost.policies_changed_now();
        }

        fn put(&self, name: &str, pattern: &str, definition: Value) {
            self.change(PolicyChange::Put(policy(name, pattern, definition)));
        }

        fn delete(&self, name: &str) {
            let (vhost, name) = ("/".to_owned(), name.to_owned());
            self.change(PolicyChange::Delete(PolicyKey { kind: PolicyKind::Policy, vhost, name }));
        }

        fn queue(&self, name: &str) -> Arc<Queue> {
            let settings = QueueSettings::plain(true);
            done(self.vhost.declare_queue(name, settings, ME))
        }

        fn exchange(&self, name: &str, alternate: Option<&str>) {
            let mut arguments = FieldTable::new();
            if let Some(alternate) = alternate {
                arguments.insert("alternate-exchange", alternate);
            }
            let settings = ExchangeSettings {
                kind: ExchangeKind::Fanout,
                durable: true,
                auto_delete: false,
                internal: false,
                arguments,
                window: None,
            };
            done(self.vhost.declare_exchange(name, settings));
        }

        fn bind(&self, source: &str, queue: &str) {
            let ends = Ends { source, kind: DestinationKind::Queue, destination: queue };
            done(self.vhost.bind(ends, "", FieldTable::new(), ME));
        }

        fn find(&self, exchange: &str) -> Route {
            let exchange = self.vhost.exchange(exchange).expect("declared");
            let properties = &BasicProperties::default();
            let routed = Routed { routing_keys: &[""], properties };
            self.vhost.route(&exchange, &routed, Sight::Now)
        }

        /// The name of the one queue that a message reaches, if there is one, and how long it does.
        fn reached(&self, exchange: &str) -> (Option<String>, Holds) {
            let Route { queues, holds, .. } = self.find(exchange);
            assert!(queues.len() < 2);
            (queues.first().map(|queue| queue.name().to_owned()), holds.expect("no headers"))
        }

        fn counts(&self, holds: &Holds) -> bool {
            holds.on(self.vhost.generation())
        }
    }

    fn limit(queue: &Queue) -> Option<i64> {
        queue.effective_arguments().get("x-max-length").and_then(FieldValue::as_integer)
    }

    #[test]
    fn policies_reach_what_is_there_and_what_comes() {
        let rig = rig();
        let (early, other) = (rig.queue("q.early"), rig.queue("other"));
        rig.put("p", "^q", json!({"max-length": 5}));
        let late = rig.queue("q.late");
        assert_eq!([&early, &late, &other].map(|queue| limit(queue)), [Some(5), Some(5), None]);
        rig.put("p", "^q", json!({"max-length": 7}));
        assert_eq!([&early, &late, &other].map(|queue| limit(queue)), [Some(7), Some(7), None]);
        rig.put("p", "^o", json!({"max-length": 7}));
        assert_eq!([&early, &late, &other].map(|queue| limit(queue)), [None, None, Some(7)]);
        rig.delete("p");
        assert_eq!([&early, &late, &other].map(|queue| limit(queue)), [None; 3]);
        assert!(early.is_as_declared() && other.is_as_declared());
    }

    /// What a policy says counts for the messages that are there, where it is a limit, and for those
    /// that come.
    #[tokio::test]
    async fn a_queue_does_at_once_what_its_policies_say() {
        let rig = rig();
        let (queue, dead) = (rig.queue("q"), rig.queue("dead"));
        let publish = |count: usize| {
            let mut effects = Effects::default();
            let messages = (0..count).map(|n| message("q", n.to_string().as_bytes()));
            queue.publish(messages, &mut effects);
            effects.carry_out(queue.messages());
        };
        publish(5000);
        rig.put(
            "p",
            "^q",
            json!({"max-length": 4990, "dead-letter-exchange": "",
            "dead-letter-routing-key": "dead"}),
        );
        let ready = || (queue.counts().ready, dead.counts().ready);
        assert_eq!(ready(), (4990, 10), "what is too much is a dead letter");
        rig.put("p", "^q", json!({"max-length": 2}));
        while queue.counts().ready > 2 {
            // A step each: the timer does it where there is one.
            queue.wake(&mut Effects::default());
        }
        assert_eq!(dead.counts().ready, 10, "none is a dead letter without a word of it");
        rig.put("p", "^q", json!({"max-length": 2, "overflow": "reject-publish"}));
        assert!(queue.rejects_publishes());
        let refused = queue.offer(message("q", b"more"), &mut Effects::default());
        assert!(refused.is_err());
        rig.put("p", "^q", json!({"message-ttl": 0}));
        assert!(!queue.rejects_publishes());
        publish(3);
        assert_eq!(queue.counts().ready, 5, "behind those that have all the time in the world");
        let mut effects = Effects::default();
        queue.purge(&mut effects);
        publish(3);
        assert_eq!(queue.counts().ready, 0);
        rig.delete("p");
        publish(3);
        assert_eq!(queue.counts().ready, 3);
    }

    /// The timer's part: a queue is woken until it is as expected.
    async fn wake_until(queue: &Arc<Queue>, expected: impl Fn() -> bool) {
        let waking = async {
            while !expected() {
                let mut effects = Effects::default();
                queue.wake(&mut effects);
                effects.carry_out(queue.messages());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waking).await.expect("in time");
    }

    #[tokio::test]
    async fn a_time_for_consumers_counts_for_what_is_handed_out_from_then_on() {
        let rig = rig();
        let queue = rig.queue("q");
        let fetch = || {
            let mut effects = Effects::default();
            queue.publish(std::iter::once(message("q", b"")), &mut effects);
            queue.get(false, |_| None, &mut effects);
            effects.carry_out(queue.messages());
        };
        fetch();
        rig.put("p", "^q", json!({"consumer-timeout": 20}));
        fetch();
        assert_eq!(queue.counts().unacked, 2);
        wake_until(&queue, || queue.counts().ready == 1).await;
        assert_eq!(queue.counts().unacked, 1, "that had all the time in the world");
    }

    #[tokio::test]
    async fn dead_letters_stay_where_a_policy_says_so_and_as_long_as_it_does() {
        let rig = rig();
        let (queue, dead) = (rig.queue("q"), rig.queue("dead"));
        let die = |count: usize| {
            let mut effects = Effects::default();
            queue.publish((0..count).map(|_| message("q", b"")), &mut effects);
            for _ in 0..count {
                let mut keys = Vec::new();
                let note = |got: &Got| {
                    keys.push((got.key, Outcome::Discard));
                    None
                };
                queue.get(false, note, &mut effects);
                queue.settle(keys.into_iter(), &mut effects);
            }
            effects.carry_out(queue.messages());
        };
        let keeping = json!({"dead-letter-exchange": "x", "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish"});
        rig.put("p", "^q", keeping.clone());
        die(2);
        assert_eq!(queue.counts().kept, 2);
        rig.exchange("x", None);
        rig.bind("x", "dead");
        wake_until(&queue, || queue.counts().kept == 0).await;
        assert_eq!(dead.counts().ready, 2);
        rig.put("p", "^q", json!({"dead-letter-exchange": "y"}));
        die(1);
        assert_eq!(queue.counts().kept, 0, "dropped, as the policy says");
        rig.put("p", "^q", keeping);
        let unbind = Ends { source: "x", kind: DestinationKind::Queue, destination: "dead" };
        done(rig.vhost.unbind(unbind, "", &FieldTable::new(), ME));
        die(3);
        assert_eq!(queue.counts().kept, 3);
        rig.put("p", "^q", json!({"dead-letter-exchange": "", "dead-letter-routing-key": "dead"}));
        wake_until(&queue, || queue.counts().kept == 0).await;
        assert_eq!(dead.counts().ready, 5, "once more, and elsewhere");
        rig.delete("p");
        assert_eq!((queue.counts().ready, queue.counts().bytes), (0, 0));
    }

    #[test]
    fn whoever_waits_for_a_change_finds_it_everywhere() {
        let rig = rig();
        let queues: Vec<_> = (0..3 * STEP).map(|n| rig.queue(&format!("q{n}"))).collect();
        let change = PolicyChange::Put(policy("p", "^q", json!({"max-length": 5})));
        let durable = rig.vhost.change_policies(vec![change]).unwrap();
        rig.store.sync();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(durable.wait()).unwrap();
        assert!(queues.iter().all(|queue| limit(queue) == Some(5)));
    }

    #[test]
    fn policies_come_back_after_a_restart_and_go_when_they_are_deleted() {
        let rig = rig();
        rig.put("p", "^q", json!({"max-length": 5}));
        rig.put("other", "^q", json!({"max-length": 6}));
        rig.delete("other");
        rig.store.sync();
        let stored = parameters::policies(&rig.store.read().unwrap()).unwrap();
        assert_eq!(stored, [policy("p", "^q", json!({"max-length": 5}))]);
        let again = self::rig();
        let early = again.queue("q.early");
        again.vhost.restore_policies(stored);
        assert_eq!((limit(&early), limit(&again.queue("q.late"))), (Some(5), Some(5)));
        assert!(again.vhost.policies().get(PolicyKind::Policy, "p").is_some());
    }

    #[test]
    fn on_a_full_disk_policies_can_only_go() {
        let rig = rig();
        let queue = rig.queue("q");
        rig.put("p", "^q", json!({"max-length": 5}));
        rig.store.set_full(true);
        let change = PolicyChange::Put(policy("p", "^q", json!({"max-length": 6})));
        assert!(rig.vhost.change_policies(vec![change]).is_err());
        rig.vhost.policies_changed_now();
        assert_eq!(limit(&queue), Some(5));
        rig.delete("p");
        assert_eq!(limit(&queue), None);
    }

    /// A route that was found without an alternate exchange, or over one, does not count when a
    /// policy gives, changes or takes it.
    #[test]
    fn an_alternate_exchange_by_policy_counts_at_once_and_until_it_goes() {
        let rig = rig();
        for name in ["x", "a", "b"] {
            rig.exchange(name, None);
        }
        for name in ["a", "b"] {
            rig.queue(name);
            rig.bind(name, name);
        }
        let (found, none) = rig.reached("x");
        assert!(found.is_none() && matches!(none, Holds::Exchange(..)));
        rig.put("p", "^x$", json!({"alternate-exchange": "a"}));
        assert!(!rig.counts(&none));
        let (found, over_a) = rig.reached("x");
        assert_eq!(found.as_deref(), Some("a"));
        rig.put("p", "^x$", json!({"alternate-exchange": "b"}));
        assert!(!rig.counts(&over_a));
        let (found, over_b) = rig.reached("x");
        assert_eq!(found.as_deref(), Some("b"));
        rig.delete("p");
        assert!(!rig.counts(&over_b));
        assert_eq!(rig.reached("x").0, None);
    }

    #[test]
    fn an_alternate_exchange_by_argument_goes_before_the_policys() {
        let rig = rig();
        for name in ["a", "b"] {
            rig.exchange(name, None);
            rig.queue(name);
            rig.bind(name, name);
        }
        rig.put("p", "^x", json!({"alternate-exchange": "a"}));
        rig.exchange("x", Some("b"));
        rig.exchange("x.plain", None);
        assert_eq!(rig.reached("x").0.as_deref(), Some("b"));
        assert_eq!(rig.reached("x.plain").0.as_deref(), Some("a"));
        let (_, held) = rig.reached("x");
        rig.put("p", "^x", json!({"max-length": 1}));
        assert_eq!(rig.reached("x").0.as_deref(), Some("b"));
        assert_eq!(rig.reached("x.plain").0, None);
        assert!(
            !rig.counts(&held),
            "it was found over two exchanges, one of which may have changed"
        );
    }

    #[test]
    fn messages_wait_where_a_policy_says_so_and_as_long_as_it_does() {
        let rig = rig();
        let headers: FieldTable = [("x-delay", FieldValue::I32(5))].into_iter().collect();
        let headers = headers.to_bytes();
        let properties =
            BasicProperties { headers: Some(RawTable::new(&headers)), ..Default::default() };
        let waits = |name: &str| {
            let exchange = rig.vhost.exchange(name).expect("declared");
            rig.vhost.waiting_place(&exchange, &properties).is_some()
        };
        rig.exchange("x.early", None);
        let (_, held) = rig.reached("x.early");
        rig.put("p", "^x", json!({"delayed-message": true}));
        rig.exchange("x.late", None);
        rig.exchange("other", None);
        assert_eq!(["x.early", "x.late", "other"].map(waits), [true, true, false]);
        assert!(!rig.counts(&held) && rig.find("x.early").holds.is_none());
        rig.store.sync();
        let stored = records::load(&rig.store.read().unwrap()).unwrap();
        assert_eq!(stored.queues.len(), 1, "what waits has a place after a restart");
        rig.delete("p");
        assert_eq!(["x.early", "x.late", "other"].map(waits), [false; 3]);
    }

    #[test]
    fn predeclared_exchanges_are_governed_and_the_default_exchange_is_not() {
        let rig = rig();
        rig.exchange("a", None);
        rig.queue("q");
        rig.bind("a", "q");
        rig.put("p", ".*", json!({"alternate-exchange": "a"}));
        assert_eq!(rig.reached("amq.topic").0.as_deref(), Some("q"));
        assert_eq!(rig.find("").queues.len(), 0);
    }

    /// Whatever a policy may say, the queue has to make something of it.
    #[test]
    fn what_counts_for_a_queue_can_be_declared() {
        let vhost = rig().vhost;
        let resource = vhost.queue_name("q");
        for number in [0_u64, 1, u64::MAX] {
            let mut definition = json!({
                "consumer-timeout": number, "dead-letter-routing-key": "k", "delivery-limit": number,
                "dead-letter-strategy": "at-least-once", "max-length": number,
                "max-length-bytes": number, "message-ttl": number, "overflow": "reject-publish-dlx",
                "queue-leader-locator": "balanced", "queue-mode": "lazy", "queue-version": 2,
                "expiry": "anywhere"
            });
            if number > 0 {
                definition["expires"] = json!(number);
                definition["delayed-retry-type"] = json!("all");
                definition["delayed-retry-min"] = json!(number);
            }
            let said = policy("p", "", definition);
            let applied = policy::matching::Applied { policy: Some(&said), operator: None };
            let effective = policy::effective(&FieldTable::new(), applied);
            assert_eq!(arguments::parse(effective.arguments(), &resource).err(), None);
            if number == u64::MAX {
                let longest = Some(&FieldValue::I64(EXPIRY_MS_MAX));
                assert_eq!(effective.arguments().get("x-message-ttl"), longest);
            }
        }
    }
}
