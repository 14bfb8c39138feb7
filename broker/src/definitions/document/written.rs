//! A document as RabbitMQ 4.3 exports it: its members in its order, each object's too.
//!
//! Called by `import`. Stays true: what is written here, `Document::read` reads back as it was; the same
//! definitions are the same octets. Where RabbitMQ's export cannot be imported, this one can: exchanges
//! that are internal are in it, and say so.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Document, QueueDefinition, Scope};
use crate::definitions::json_arguments::to_json;
use crate::definitions::parameters::{
    GlobalParameterRecord, ParameterRecord, TopicPermissionRecord, VHOST_LIMITS,
};
use crate::definitions::records::{
    BindingRecord, DestinationKind, ExchangeRecord, PermissionRecord, UserRecord, VhostRecord,
};
use crate::password::HashingAlgorithm;
use crate::policy::{Policy, PolicyKind, QueueType};

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    /// The product whose format it is.
    pub product: String,
    /// Its version.
    pub version: String,
    /// What the cluster is called.
    pub cluster_name: String,
}

impl Document {
    /// The JSON of it all, or of one vhost's part: then nothing in it says which.
    pub(crate) fn written(&self, scope: Scope<'_>, author: &Author) -> Vec<u8> {
        let written = match scope {
            Scope::Whole => serde_json::to_vec(&Whole::of(self, author)),
            Scope::Vhost(name) => serde_json::to_vec(&OneVhost::of(self, name, author)),
        };
        // Texts, numbers and flags into memory: there is no way to fail.
        written.unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    permissions: Vec<Permission<'a>>,
    rabbitmq_version: &'a str,
    product_name: &'a str,
    product_version: &'a str,
    rabbit_version: &'a str,
    vhosts: Vec<Vhost<'a>>,
    users: Vec<User<'a>>,
    exchanges: Vec<Exchange<'a>>,
    global_parameters: Vec<GlobalParameter<'a>>,
    parameters: Vec<Parameter<'a>>,
    policies: Vec<WrittenPolicy<'a>>,
    topic_permissions: Vec<TopicPermission<'a>>,
    explanation: String,
    rabbitmq_definition_format: &'static str,
    original_cluster_name: &'a str,
    queues: Vec<Queue<'a>>,
    bindings: Vec<Binding<'a>>,
}

impl<'a> Whole<'a> {
    fn of(document: &'a Document, author: &'a Author) -> Self {
        let name = &author.cluster_name;
        Self {
            permissions: document.permissions.iter().map(Permission::of).collect(),
            rabbitmq_version: &author.version,
            product_name: &author.product,
            product_version: &author.version,
            rabbit_version: &author.version,
            vhosts: document.vhosts.iter().map(|vhost| Vhost::of(vhost, document)).collect(),
            users: document.users.iter().map(User::of).collect(),
            exchanges: document.exchanges.iter().map(|one| Exchange::of(one, true)).collect(),
            global_parameters: document.global_parameters.iter().map(GlobalParameter::of).collect(),
            parameters: parameters(document, true),
            policies: policies(document, true),
            topic_permissions: document.topic_permissions.iter().map(TopicPermission::of).collect(),
            explanation: format!("Definitions of cluster '{name}'"),
            rabbitmq_definition_format: "cluster",
            original_cluster_name: name,
            queues: document.queues.iter().map(|queue| Queue::of(queue, true)).collect(),
            bindings: document.bindings.iter().map(|one| Binding::of(one, true)).collect(),
        }
    }
}

#[derive(Serialize)]
struct OneVhost<'a> {
    description: &'a str,
    metadata: Metadata<'a>,
    rabbitmq_version: &'a str,
    product_name: &'a str,
    product_version: &'a str,
    rabbit_version: &'a str,
    exchanges: Vec<Exchange<'a>>,
    parameters: Vec<Parameter<'a>>,
    policies: Vec<WrittenPolicy<'a>>,
    limits: Value,
    explanation: String,
    original_vhost_name: &'a str,
    rabbitmq_definition_format: &'static str,
    queues: Vec<Queue<'a>>,
    bindings: Vec<Binding<'a>>,
}

impl<'a> OneVhost<'a> {
    fn of(document: &'a Document, name: &'a str, author: &'a Author) -> Self {
        let about = document.vhosts.iter().find(|vhost| vhost.name == name);
        Self {
            description: about.map(|vhost| &*vhost.description).unwrap_or_default(),
            metadata: about.map(Metadata::of).unwrap_or_default(),
            rabbitmq_version: &author.version,
            product_name: &author.product,
            product_version: &author.version,
            rabbit_version: &author.version,
            exchanges: document.exchanges.iter().map(|one| Exchange::of(one, false)).collect(),
            parameters: parameters(document, false),
            policies: policies(document, false),
            limits: limits(document, name),
            explanation: format!("Definitions of virtual host '{name}'"),
            original_vhost_name: name,
            rabbitmq_definition_format: "single_virtual_host",
            queues: document.queues.iter().map(|queue| Queue::of(queue, false)).collect(),
            bindings: document.bindings.iter().map(|one| Binding::of(one, false)).collect(),
        }
    }
}

/// The limits of a vhost, which are among the parameters as well.
fn limits(document: &Document, vhost: &str) -> Value {
    let of_vhost =
        |given: &&ParameterRecord| given.vhost == vhost && given.component == VHOST_LIMITS;
    let limits = document.parameters.iter().find(of_vhost).map(|given| given.value.clone());
    limits.filter(Value::is_object).unwrap_or_else(|| Value::Object(Map::new()))
}

#[derive(Serialize)]
struct Vhost<'a> {
    limits: Value,
    metadata: Metadata<'a>,
    name: &'a str,
}

impl<'a> Vhost<'a> {
    fn of(vhost: &'a VhostRecord, document: &Document) -> Self {
        let limits = limits(document, &vhost.name);
        Self { limits, metadata: Metadata::of(vhost), name: &vhost.name }
    }
}

#[derive(Default, Serialize)]
pub(crate) struct Metadata<'a> {
    description: &'a str,
    tags: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    protected_from_deletion: bool,
    default_queue_type: &'a str,
}

impl<'a> Metadata<'a> {
    pub(crate) fn of(vhost: &'a VhostRecord) -> Self {
        Self {
            description: &vhost.description,
            tags: &vhost.tags,
            protected_from_deletion: vhost.protected_from_deletion,
            default_queue_type: vhost.default_queue_type.as_deref().unwrap_or("classic"),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct User<'a> {
    hashing_algorithm: HashingAlgorithm,
    limits: Map<String, Value>,
    name: &'a str,
    password_hash: &'a str,
    tags: &'a [String],
}

impl<'a> User<'a> {
    pub(crate) fn of(user: &'a UserRecord) -> Self {
        let limits = user.limits.each().into_iter();
        let limits = limits.filter_map(|(name, limit)| Some((name.to_owned(), limit?.into())));
        Self {
            hashing_algorithm: user.hashing_algorithm,
            limits: limits.collect(),
            name: &user.name,
            password_hash: &user.password_hash,
            tags: &user.tags,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Permission<'a> {
    configure: &'a str,
    read: &'a str,
    user: &'a str,
    vhost: &'a str,
    write: &'a str,
}

impl<'a> Permission<'a> {
    pub(crate) fn of(given: &'a PermissionRecord) -> Self {
        let PermissionRecord { user, vhost, configure, write, read } = given;
        Self { configure, read, user, vhost, write }
    }
}

#[derive(Serialize)]
pub(crate) struct TopicPermission<'a> {
    exchange: &'a str,
    read: &'a str,
    user: &'a str,
    vhost: &'a str,
    write: &'a str,
}

impl<'a> TopicPermission<'a> {
    pub(crate) fn of(given: &'a TopicPermissionRecord) -> Self {
        let TopicPermissionRecord { user, vhost, exchange, write, read } = given;
        Self { exchange, read, user, vhost, write }
    }
}

#[derive(Serialize)]
struct GlobalParameter<'a> {
    name: &'a str,
    value: &'a Value,
}

impl<'a> GlobalParameter<'a> {
    fn of(given: &'a GlobalParameterRecord) -> Self {
        Self { name: &given.name, value: &given.value }
    }
}

#[derive(Serialize)]
struct Parameter<'a> {
    component: &'a str,
    name: &'a str,
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<&'a str>,
}

/// Operator policies are among them, by their name within the vhost.
fn parameters(document: &Document, with_vhost: bool) -> Vec<Parameter<'_>> {
    let operators = document.policies.iter().filter(|policy| policy.kind == PolicyKind::Operator);
    let operators = operators.map(|policy| Parameter {
        component: policy.kind.component(),
        name: &policy.name,
        value: serde_json::to_value(Rule::of(policy)).unwrap_or_default(),
        vhost: with_vhost.then_some(&*policy.vhost),
    });
    let others = document.parameters.iter().map(|given| Parameter {
        component: &given.component,
        name: &given.name,
        value: given.value.clone(),
        vhost: with_vhost.then_some(&*given.vhost),
    });
    let mut all: Vec<_> = operators.chain(others).collect();
    all.sort_by_key(|one| (one.vhost, one.component, one.name));
    all
}

/// What a policy says, without whose it is.
#[derive(Serialize)]
pub(crate) struct Rule<'a> {
    #[serde(rename = "apply-to")]
    apply_to: &'static str,
    definition: &'a Map<String, Value>,
    pattern: &'a str,
    priority: &'a serde_json::Number,
}

impl<'a> Rule<'a> {
    pub(crate) fn of(policy: &'a Policy) -> Self {
        Self {
            apply_to: policy.apply_to.name(),
            definition: &policy.definition,
            pattern: policy.pattern.as_str(),
            priority: &policy.priority,
        }
    }
}

#[derive(Serialize)]
struct WrittenPolicy<'a> {
    #[serde(rename = "apply-to")]
    apply_to: &'static str,
    definition: &'a Map<String, Value>,
    name: &'a str,
    pattern: &'a str,
    priority: &'a serde_json::Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<&'a str>,
}

fn policies(document: &Document, with_vhost: bool) -> Vec<WrittenPolicy<'_>> {
    let policies = document.policies.iter().filter(|policy| policy.kind == PolicyKind::Policy);
    policies
        .map(|policy| {
            let Rule { apply_to, definition, pattern, priority } = Rule::of(policy);
            let vhost = with_vhost.then_some(&*policy.vhost);
            WrittenPolicy { apply_to, definition, name: &policy.name, pattern, priority, vhost }
        })
        .collect()
}

#[derive(Serialize)]
pub(crate) struct Exchange<'a> {
    arguments: Map<String, Value>,
    auto_delete: bool,
    durable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    internal: bool,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<&'a str>,
}

impl<'a> Exchange<'a> {
    pub(crate) fn of(exchange: &'a ExchangeRecord, with_vhost: bool) -> Self {
        Self {
            arguments: to_json(&exchange.arguments),
            auto_delete: exchange.auto_delete,
            durable: exchange.durable,
            internal: exchange.internal,
            name: &exchange.name,
            kind: exchange.kind.name(),
            vhost: with_vhost.then_some(&*exchange.vhost),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Queue<'a> {
    arguments: Map<String, Value>,
    auto_delete: bool,
    durable: bool,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<&'a str>,
}

impl<'a> Queue<'a> {
    /// As RabbitMQ, with its type among the arguments: those that name none get the default type of the
    /// vhost that they are imported into.
    pub(crate) fn of(queue: &'a QueueDefinition, with_vhost: bool) -> Self {
        let kind = match QueueType::of(&queue.arguments) {
            QueueType::Classic => "classic",
            QueueType::Quorum => "quorum",
            QueueType::Stream => "stream",
        };
        let mut arguments = to_json(&queue.arguments);
        arguments.entry("x-queue-type").or_insert_with(|| kind.into());
        Self {
            arguments,
            auto_delete: queue.auto_delete,
            durable: queue.durable,
            name: &queue.name,
            kind,
            vhost: with_vhost.then_some(&*queue.vhost),
        }
    }
}

#[derive(Serialize)]
struct Binding<'a> {
    arguments: Map<String, Value>,
    destination: &'a str,
    destination_type: DestinationKind,
    routing_key: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<&'a str>,
}

impl<'a> Binding<'a> {
    fn of(binding: &'a BindingRecord, with_vhost: bool) -> Self {
        Self {
            arguments: to_json(&binding.arguments),
            destination: &binding.destination,
            destination_type: binding.destination_kind,
            routing_key: &binding.routing_key,
            source: &binding.source,
            vhost: with_vhost.then_some(&*binding.vhost),
        }
    }
}
