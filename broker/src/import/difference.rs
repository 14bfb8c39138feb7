//! What makes one document another: what is to be added, changed, removed, and what stays as it is.
//!
//! A room of `import`. Pure. Stays true: what is the same in both is not named; an exchange, a queue or a
//! binding is never changed, as on RabbitMQ, so where one differs it is told that it stays; passwords and
//! their hashes are not told.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::definitions::document::written;
use crate::definitions::document::{Document, QueueDefinition};
use crate::definitions::json_arguments::to_json;
use crate::definitions::parameters::{
    GlobalParameterRecord, ParameterRecord, TopicPermissionRecord,
};
use crate::definitions::records::{
    BindingRecord, DestinationKind, ExchangeRecord, PermissionRecord, UserRecord, VhostRecord,
};
use crate::policy::{Policy, PolicyKind};

/// See the module documentation. Prints a line each.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// What is not there yet, in the order in which it is made.
    pub added: Vec<Step>,
    /// What is there otherwise.
    pub changed: Vec<Step>,
    /// What is there and not wanted, in the order in which it goes.
    pub removed: Vec<Step>,
    /// What is there otherwise and stays so.
    pub kept: Vec<Step>,
    /// What is removed, whole.
    #[serde(skip)]
    pub gone: Document,
}

/// An object, and how it differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Step {
    /// What kind of object.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The vhost that it is in, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vhost: Option<String>,
    /// What names it there.
    #[serde(rename = "object")]
    pub names: Names<String>,
    /// In what it differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Differs>,
}

/// What names an object: of each name what it is called, the words before it in a sentence, and itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Names<T>(Vec<(&'static str, Option<&'static str>, T)>);

impl Serialize for Names<String> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(called, _, name)| (called, name)))
    }
}

/// A property that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Differs {
    /// Which.
    pub property: String,
    /// What is there; null is nothing.
    pub is: Value,
    /// What is wanted.
    pub wanted: Value,
}

/// Kinds of objects, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A user.
    User,
    /// A vhost.
    Vhost,
    /// What a user may do in a vhost.
    Permission,
    /// An exchange.
    Exchange,
    /// Which routing keys of an exchange a user may use.
    TopicPermission,
    /// A parameter of the whole broker.
    GlobalParameter,
    /// A parameter of a vhost, its limits among them.
    Parameter,
    /// A policy.
    Policy,
    /// An operator policy.
    OperatorPolicy,
    /// A queue.
    Queue,
    /// A binding.
    Binding,
}

impl Kind {
    /// As people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Vhost => "vhost",
            Self::Permission => "permissions of user",
            Self::Exchange => "exchange",
            Self::TopicPermission => "topic permissions of user",
            Self::GlobalParameter => "global parameter",
            Self::Parameter => "parameter",
            Self::Policy => "policy",
            Self::OperatorPolicy => "operator policy",
            Self::Queue => "queue",
            Self::Binding => "binding",
        }
    }

    /// The category of a document that it stands in.
    const fn category(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Vhost => "vhosts",
            Self::Permission => "permissions",
            Self::Exchange => "exchanges",
            Self::TopicPermission => "topic_permissions",
            Self::GlobalParameter => "global_parameters",
            Self::Parameter | Self::OperatorPolicy => "parameters",
            Self::Policy => "policies",
            Self::Queue => "queues",
            Self::Binding => "bindings",
        }
    }

    /// Whether one that is there can become another.
    const fn is_mutable(self) -> bool {
        !matches!(self, Self::Exchange | Self::Queue | Self::Binding)
    }
}

impl Difference {
    /// What makes what there is what is wanted. What is not wanted goes with `prune` alone, and only of
    /// categories that the wanted document has: it says nothing of the others. What clients make and
    /// unmake by themselves, transient or to be deleted automatically, stays in any case.
    pub(crate) fn between(there: &Document, wanted: &Document, prune: bool) -> Self {
        let mut difference = Self::default();
        let pruned = |kind: Kind| prune && wanted.categories.contains(kind.category());
        macro_rules! compare {
            ($($category:ident),*) => {
                Document {
                    $($category: difference.compare(&there.$category, &wanted.$category, pruned),)*
                    ..Document::default()
                }
            };
        }
        let mut gone = compare!(
            users,
            vhosts,
            permissions,
            exchanges,
            topic_permissions,
            global_parameters,
            parameters,
            policies,
            queues
        );
        let own = clients_own(there);
        let lasting = |binding: &&BindingRecord| !leads_to(&own, binding);
        let lasting: Vec<_> = there.bindings.iter().filter(lasting).cloned().collect();
        let there = if pruned(Kind::Binding) { &lasting } else { &there.bindings };
        gone.bindings = difference.compare(there, &wanted.bindings, pruned);
        difference.gone = gone;
        difference.removed.reverse();
        difference
    }

    /// Notes how objects of a kind differ; returns those that go.
    fn compare<D: Defined + Clone>(
        &mut self,
        there: &[D],
        wanted: &[D],
        pruned: impl Fn(Kind) -> bool,
    ) -> Vec<D> {
        let known: HashMap<_, _> = there.iter().map(|one| (one.identity(), one)).collect();
        let mut named = HashSet::new();
        for one in wanted {
            let identity = one.identity();
            match known.get(&identity) {
                None if named.contains(&identity) => {}
                None => self.added.push(step(one, Vec::new())),
                Some(there) => {
                    let differs = differs(&there.properties(), &one.properties());
                    let kind = identity.kind;
                    match differs.is_empty() {
                        true => {}
                        false if kind.is_mutable() => self.changed.push(step(one, differs)),
                        false => self.kept.push(step(one, differs)),
                    }
                }
            }
            named.insert(identity);
        }
        let gone = there.iter().filter(|one| pruned(one.identity().kind) && one.may_go());
        let gone = gone.filter(|one| !named.contains(&one.identity()));
        let gone: Vec<D> = gone.cloned().collect();
        self.removed.extend(gone.iter().map(|one| step(one, Vec::new())));
        gone
    }
}

fn step(one: &impl Defined, differs: Vec<Differs>) -> Step {
    let Identity { kind, vhost, names } = one.identity();
    let names = names.0.into_iter().map(|(called, word, name)| (called, word, name.into_owned()));
    let vhost = vhost.map(str::to_owned);
    Step { kind, vhost, names: Names(names.collect()), differs }
}

/// Queues and exchanges that are their clients' own: nobody writes them into a document.
fn clients_own(document: &Document) -> HashSet<(DestinationKind, &str, &str)> {
    let queues = document.queues.iter().filter(|queue| !queue.may_go());
    let queues = queues.map(|queue| (DestinationKind::Queue, &*queue.vhost, &*queue.name));
    let exchanges = document.exchanges.iter().filter(|exchange| !exchange.may_go());
    let exchanges = exchanges.map(|one| (DestinationKind::Exchange, &*one.vhost, &*one.name));
    queues.chain(exchanges).collect()
}

/// Whether it has such an end.
fn leads_to(own: &HashSet<(DestinationKind, &str, &str)>, binding: &BindingRecord) -> bool {
    let BindingRecord { vhost, source, destination_kind, destination, .. } = binding;
    own.contains(&(*destination_kind, vhost, destination))
        || own.contains(&(DestinationKind::Exchange, vhost, source))
}

fn differs(there: &Map<String, Value>, wanted: &Map<String, Value>) -> Vec<Differs> {
    let both = there.keys().chain(wanted.keys().filter(|key| !there.contains_key(*key)));
    let value = |of: &Map<String, Value>, key: &str| of.get(key).cloned().unwrap_or_default();
    let all = both.map(|key| (key, value(there, key), value(wanted, key)));
    all.filter(|(_, is, wanted)| is != wanted)
        .map(|(key, is, wanted)| match key.as_str() {
            PASSWORD_HASH => (key, HIDDEN.into(), HIDDEN.into()),
            _ => (key, is, wanted),
        })
        .map(|(key, is, wanted)| Differs { property: key.clone(), is, wanted })
        .collect()
}

const PASSWORD_HASH: &str = "password_hash";
const HIDDEN: &str = "(not shown)";

/// What makes an object that one and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity<'a> {
    kind: Kind,
    vhost: Option<&'a str>,
    names: Names<Cow<'a, str>>,
}

impl<'a> Identity<'a> {
    fn new(kind: Kind, vhost: Option<&'a str>, name: &'a str) -> Self {
        Self { kind, vhost, names: Names(vec![("name", Some(""), name.into())]) }
    }

    fn and(
        mut self,
        called: &'static str,
        word: &'static str,
        name: impl Into<Cow<'a, str>>,
    ) -> Self {
        let word = Some(word).filter(|word| !word.is_empty());
        self.names.0.push((called, word, name.into()));
        self
    }
}

/// An object of a document.
trait Defined {
    fn identity(&self) -> Identity<'_>;

    /// All but its identity.
    fn properties(&self) -> Map<String, Value>;

    /// Whether it may be removed: it is not its clients' own.
    fn may_go(&self) -> bool {
        true
    }
}

/// Everything that is written of an object, without what names it.
fn properties(written: impl Serialize, identity: &[&str]) -> Map<String, Value> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(written) else { return Map::new() };
    all.retain(|name, _| !identity.contains(&name.as_str()));
    all
}

impl Defined for UserRecord {
    fn identity(&self) -> Identity<'_> {
        Identity::new(Kind::User, None, &self.name)
    }

    fn properties(&self) -> Map<String, Value> {
        properties(written::User::of(self), &["name"])
    }
}

impl Defined for VhostRecord {
    fn identity(&self) -> Identity<'_> {
        Identity::new(Kind::Vhost, None, &self.name)
    }

    fn properties(&self) -> Map<String, Value> {
        properties(written::Metadata::of(self), &[])
    }
}

impl Defined for PermissionRecord {
    fn identity(&self) -> Identity<'_> {
        Identity::new(Kind::Permission, Some(&self.vhost), &self.user)
    }

    fn properties(&self) -> Map<String, Value> {
        properties(written::Permission::of(self), &["user", "vhost"])
    }
}

impl Defined for TopicPermissionRecord {
    fn identity(&self) -> Identity<'_> {
        let of_user = Identity::new(Kind::TopicPermission, Some(&self.vhost), &self.user);
        of_user.and("exchange", "over exchange", &*self.exchange)
    }

    fn properties(&self) -> Map<String, Value> {
        properties(written::TopicPermission::of(self), &["user", "vhost", "exchange"])
    }
}

impl Defined for GlobalParameterRecord {
    fn identity(&self) -> Identity<'_> {
        Identity::new(Kind::GlobalParameter, None, &self.name)
    }

    fn properties(&self) -> Map<String, Value> {
        Map::from_iter([("value".to_owned(), self.value.clone())])
    }
}

impl Defined for ParameterRecord {
    fn identity(&self) -> Identity<'_> {
        let named = Identity::new(Kind::Parameter, Some(&self.vhost), &self.name);
        named.and("component", "of component", &*self.component)
    }

    fn properties(&self) -> Map<String, Value> {
        Map::from_iter([("value".to_owned(), self.value.clone())])
    }
}

impl Defined for Policy {
    fn identity(&self) -> Identity<'_> {
        let kind = match self.kind {
            PolicyKind::Policy => Kind::Policy,
            PolicyKind::Operator => Kind::OperatorPolicy,
        };
        Identity::new(kind, Some(&self.vhost), &self.name)
    }

    fn properties(&self) -> Map<String, Value> {
        properties(written::Rule::of(self), &[])
    }
}

impl Defined for ExchangeRecord {
    fn identity(&self) -> Identity<'_> {
        Identity::new(Kind::Exchange, Some(&self.vhost), &self.name)
    }

    fn properties(&self) -> Map<String, Value> {
        properties(written::Exchange::of(self, false), &["name"])
    }

    fn may_go(&self) -> bool {
        self.durable && !self.auto_delete
    }
}

impl Defined for QueueDefinition {
    fn identity(&self) -> Identity<'_> {
        Identity::new(Kind::Queue, Some(&self.vhost), &self.name)
    }

    fn properties(&self) -> Map<String, Value> {
        properties(written::Queue::of(self, false), &["name"])
    }

    fn may_go(&self) -> bool {
        self.durable && !self.auto_delete
    }
}

impl Defined for BindingRecord {
    fn identity(&self) -> Identity<'_> {
        let Self { vhost, source, destination, routing_key, .. } = self;
        let (kind, word) = match self.destination_kind {
            DestinationKind::Queue => ("queue", "to queue"),
            DestinationKind::Exchange => ("exchange", "to exchange"),
        };
        let from = Identity { kind: Kind::Binding, vhost: Some(vhost), names: Names(Vec::new()) };
        let identity = from.and("source", "from", &**source).and("destination_type", "", kind);
        let identity = identity.and("destination", word, &**destination);
        let identity = identity.and("routing_key", "with key", &**routing_key);
        match self.arguments.iter().next() {
            None => identity,
            Some(_) => {
                let arguments = Value::Object(to_json(&self.arguments)).to_string();
                identity.and("arguments", "and arguments", arguments)
            }
        }
    }

    fn properties(&self) -> Map<String, Value> {
        Map::new()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        for (_, word, name) in &self.names.0 {
            match word {
                None => {}
                Some("") => write!(f, " '{name}'")?,
                Some(word) => write!(f, " {word} '{name}'")?,
            }
        }
        if let Some(vhost) = &self.vhost {
            write!(f, " in vhost '{vhost}'")?;
        }
        for (at, differs) in self.differs.iter().enumerate() {
            let Differs { property, is, wanted } = differs;
            let before = if at == 0 { ": " } else { ", " };
            write!(f, "{before}{property} {is} -> {wanted}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, changed, removed, kept, .. } = self;
        for (sign, steps) in [('+', added), ('~', changed), ('-', removed), ('=', kept)] {
            for step in steps {
                writeln!(f, "{sign} {step}")?;
            }
        }
        let [added, changed, removed] = [added, changed, removed].map(Vec::len);
        write!(f, "{added} added, {changed} changed, {removed} removed")?;
        if kept.is_empty() { Ok(()) } else { write!(f, ", {} otherwise and kept", kept.len()) }
    }
}
