//! Definitions as RabbitMQ exports them, versions 3.x and 4.x: one JSON document.
//!
//! Called by `import`. Stays true: a document is read whole or not at all, and the first thing in it
//! that cannot be read is named; members that nobody here knows are passed over, as RabbitMQ does; what
//! is `written` reads back as it was. See <https://www.rabbitmq.com/docs/definitions>.

mod object;
mod users;
pub(crate) mod written;

use std::collections::BTreeSet;

use leveret_protocol::types::FieldTable;
use serde_json::Value;

use self::object::Object;
use super::parameters::{
    self, GlobalParameterRecord, ParameterRecord, TopicPermissionRecord, VHOST_LIMITS,
};
use super::records::{
    BindingRecord, DestinationKind, ExchangeRecord, PermissionRecord, UserRecord, VhostRecord,
};
use crate::exchange::ExchangeKind;
use crate::logging::OneLine;
use crate::password::HashingAlgorithm;
use crate::policy::{Draft, Invalid, Policy, PolicyKind};
use crate::secret::Secret;

/// Everything that a document defines, of each kind in its order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Document {
    /// The vhosts.
    pub vhosts: Vec<VhostRecord>,
    /// Which of them are to be traced, and which are not: those that say so.
    pub tracing: Vec<(String, bool)>,
    /// The users.
    pub users: Vec<UserRecord>,
    /// The passwords of those that came with one, which `users` has anew hashes of.
    pub passwords: Vec<(String, Secret)>,
    /// Those of whose limits nothing is said.
    pub unlimited: Vec<String>,
    /// What they may do.
    pub permissions: Vec<PermissionRecord>,
    /// Which topics they may use.
    pub topic_permissions: Vec<TopicPermissionRecord>,
    /// Parameters of vhosts, without operator policies.
    pub parameters: Vec<ParameterRecord>,
    /// Parameters of the whole broker.
    pub global_parameters: Vec<GlobalParameterRecord>,
    /// Policies and operator policies.
    pub policies: Vec<Policy>,
    /// The exchanges that clients may declare.
    pub exchanges: Vec<ExchangeRecord>,
    /// The queues that clients may name.
    pub queues: Vec<QueueDefinition>,
    /// The bindings that clients may make.
    pub bindings: Vec<BindingRecord>,
    /// The categories that it has, empty or not.
    pub categories: BTreeSet<String>,
    /// What was passed over, a sentence each.
    pub notes: Vec<String>,
}

/// What a document speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// The whole broker: each object says in which vhost it is.
    Whole,
    /// This vhost: whatever objects say.
    Vhost(&'a str),
}

/// A queue that is to be there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueueDefinition {
    /// The vhost's name.
    pub vhost: String,
    /// Its name within the vhost.
    pub name: String,
    /// Comes back after a restart.
    pub durable: bool,
    /// Deleted with its last consumer.
    pub auto_delete: bool,
    /// The arguments of its declaration.
    pub arguments: FieldTable,
}

/// A document cannot be used: which object of it, and why. One line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", OneLine(object), OneLine(&fault.reason))]
pub(crate) struct DocumentError {
    object: String,
    fault: Fault,
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    reason: String,
    /// What RabbitMQ's management answers, where it has words for it.
    told: Option<String>,
}

impl Fault {
    /// In our words and in RabbitMQ's.
    pub(crate) fn told(reason: impl Into<String>, told: impl Into<String>) -> Self {
        let reason: String = reason.into();
        let reason = reason.trim_end().replace('\n', " ");
        Self { reason, told: Some(told.into()) }
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self { reason: reason.trim_end().replace('\n', " "), told: None }
    }
}

impl DocumentError {
    /// What is wrong with what.
    pub(crate) fn new(object: impl Into<String>, reason: impl Into<String>) -> Self {
        let reason: String = reason.into();
        Self::of(object, reason)
    }

    /// The same, which RabbitMQ may have words for.
    pub(crate) fn of(object: impl Into<String>, fault: impl Into<Fault>) -> Self {
        Self { object: object.into(), fault: fault.into() }
    }

    /// What RabbitMQ's management answers, or, where it has no words for it, the line.
    pub(crate) fn reason(&self) -> String {
        self.fault.told.clone().unwrap_or_else(|| self.to_string())
    }
}

impl Document {
    /// Reads a document. An empty one defines nothing. Passwords in it are hashed as `hashing` says.
    ///
    /// # Errors
    /// It is no JSON object, or something in it cannot be read.
    pub(crate) fn read(text: &[u8], hashing: HashingAlgorithm) -> Result<Self, DocumentError> {
        Self::read_of(Scope::Whole, text, hashing)
    }

    /// The same of a document that may be about one vhost, of which only what is in a vhost counts.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn read_of(
        scope: Scope<'_>,
        text: &[u8],
        hashing: HashingAlgorithm,
    ) -> Result<Self, DocumentError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if text.is_empty() {
            return Ok(Self::default());
        }
        let whole = |reason: String| {
            DocumentError::of("the document", Fault::told(reason, "failed_to_parse_json"))
        };
        let parsed: Value = serde_json::from_slice(text)
            .map_err(|error| whole(format!("it is not JSON: {error}")))?;
        let Value::Object(categories) = parsed else {
            return Err(whole("it is not a JSON object".to_owned()));
        };
        let root = Object::new(&categories, scope);
        let mut document = Self { categories: named(&categories), ..Self::default() };
        match scope {
            Scope::Whole => document.read_access(&root, hashing)?,
            Scope::Vhost(vhost) => document.pass_over_access(vhost),
        }
        document.read_parameters(&root)?;
        document.read_topology(&root)?;
        Ok(document)
    }

    /// What is not in a vhost, where it is one alone that counts. RabbitMQ passes over it, too.
    fn pass_over_access(&mut self, vhost: &str) {
        for category in OF_THE_BROKER {
            if self.categories.remove(category) {
                self.notes.push(format!("{category}: only vhost '{vhost}' is meant"));
            }
        }
    }

    fn read_access(
        &mut self,
        root: &Object<'_>,
        hashing: HashingAlgorithm,
    ) -> Result<(), DocumentError> {
        let version = root.find("rabbitmq_version").or_else(|| root.find("rabbit_version"));
        let version = version.and_then(Value::as_str);
        self.users = root.each("users", |user| users::user(user, version, hashing))?;
        self.unlimited = root.each("users", users::unlimited)?.into_iter().flatten().collect();
        self.passwords = root.each("users", users::password)?.into_iter().flatten().collect();
        self.vhosts = root.each("vhosts", vhost)?;
        let tracing = root.each("vhosts", |vhost| {
            let told = vhost.find("tracing").map(|_| vhost.flag("tracing", false));
            Ok::<_, String>((vhost.short("name")?, told.transpose()?))
        })?;
        let limits = root.each("vhosts", vhost_limits)?;
        self.parameters.extend(limits.into_iter().flatten());
        self.tracing = tracing.into_iter().filter_map(|(name, told)| Some((name, told?))).collect();
        for (category, kind) in [("users", "user"), ("vhosts", "vhost")] {
            let notes = root.each(category, |object| without_effect(kind, object))?;
            self.notes.extend(notes.into_iter().flatten());
        }
        self.permissions = root.each("permissions", |permission| {
            Ok::<_, String>(PermissionRecord {
                user: permission.text("user")?,
                vhost: permission.text("vhost")?,
                configure: permission.text("configure")?,
                write: permission.text("write")?,
                read: permission.text("read")?,
            })
        })?;
        self.topic_permissions = root.each("topic_permissions", |permission| {
            Ok::<_, String>(TopicPermissionRecord {
                user: permission.text("user")?,
                vhost: permission.text("vhost")?,
                exchange: permission.text("exchange")?,
                write: permission.text("write")?,
                read: permission.text("read")?,
            })
        })?;
        Ok(())
    }

    fn read_parameters(&mut self, root: &Object<'_>) -> Result<(), DocumentError> {
        if root.scope() == Scope::Whole {
            self.global_parameters = root.each("global_parameters", |parameter| {
                Ok::<_, String>(GlobalParameterRecord {
                    name: parameter.text("name")?,
                    value: parameter.find("value").cloned().unwrap_or(Value::Null),
                })
            })?;
        }
        for (policy, note) in root.each("policies", policy)? {
            self.policies.extend(policy);
            self.notes.extend(note);
        }
        for parameter in root.each("parameters", parameter)? {
            match parameter {
                Parameter::OperatorPolicy(policy) => self.policies.push(policy),
                Parameter::Other(parameter) => self.parameters.push(parameter),
            }
        }
        Ok(())
    }

    fn read_topology(&mut self, root: &Object<'_>) -> Result<(), DocumentError> {
        let exchanges = root.each("exchanges", exchange)?;
        let queues = root.each("queues", queue)?;
        self.bindings = root.each("bindings", binding)?;
        for exchange in exchanges {
            if exchange.name.is_empty() || exchange.name.starts_with("amq.") {
                let name = &exchange.name;
                self.notes.push(format!("exchange '{name}' is the broker's own"));
            } else {
                self.exchanges.push(exchange);
            }
        }
        for queue in queues {
            if queue.name.starts_with("amq.") {
                self.notes.push(format!("queue '{}' has a name that the broker gives", queue.name));
            } else {
                self.queues.push(queue);
            }
        }
        let implicit = |binding: &mut BindingRecord| binding.source.is_empty();
        let implicit = self.bindings.extract_if(.., implicit).count();
        if implicit > 0 {
            self.notes
                .push(format!("{implicit} bindings of the default exchange are there anyway"));
        }
        Ok(())
    }
}

/// Categories of what is not in a vhost, and members of a vhost's document that say nothing new.
const OF_THE_BROKER: [&str; 5] =
    ["users", "vhosts", "permissions", "topic_permissions", "global_parameters"];

/// Those members that are there.
fn named(categories: &serde_json::Map<String, Value>) -> BTreeSet<String> {
    let there = categories.iter().filter(|(_, value)| value.is_array());
    there.map(|(name, _)| name.clone()).collect()
}

/// Description and tags stand beside the name in old versions, in `metadata` in new ones, or both.
fn vhost(vhost: &Object<'_>) -> Result<VhostRecord, Fault> {
    let metadata = vhost.object("metadata")?;
    let description = match vhost.find("description") {
        Some(_) => vhost.text("description")?,
        None => metadata.text_or("description", "")?,
    };
    let tags =
        if vhost.find("tags").is_some() { vhost.words("tags")? } else { metadata.words("tags")? };
    let default_queue_type = default_queue_type(&metadata)?;
    Ok(VhostRecord {
        description,
        tags,
        default_queue_type,
        protected_from_deletion: metadata.flag("protected_from_deletion", false)?,
        ..VhostRecord::plain(&vhost.short("name")?)
    })
}

fn default_queue_type(metadata: &Object<'_>) -> Result<Option<String>, Fault> {
    let named = metadata.text_or("default_queue_type", "")?;
    queue_type(&named).map_err(|reason| Fault::told(reason.clone(), reason))
}

/// A default queue type in RabbitMQ's words. What is undefined is classic.
///
/// # Errors
/// There is no such type.
pub(crate) fn queue_type(named: &str) -> Result<Option<String>, String> {
    match named {
        "" | "undefined" | "classic" => Ok(None),
        "quorum" | "stream" => Ok(Some(named.to_owned())),
        _ => Err(format!("{named} is not a valid queue type")),
    }
}

/// The settings of mirrored queues, which RabbitMQ 4 knows no more: its users are told to take them
/// out of what version 3 exported. Here they are passed over.
const MIRRORING: [&str; 7] = [
    "ha-mode",
    "ha-params",
    "ha-promote-on-failure",
    "ha-promote-on-shutdown",
    "ha-sync-batch-size",
    "ha-sync-mode",
    "queue-master-locator",
];

/// A policy, if it says something but how to mirror, and what of it was passed over.
type Read = (Option<Policy>, Option<String>);

fn policy(policy: &Object<'_>) -> Result<Read, Fault> {
    let (vhost, name) = (policy.vhost()?, policy.short("name")?);
    let mut definition = policy.find("definition").cloned();
    let mut note = None;
    if let Some(Value::Object(settings)) = &mut definition {
        let before = settings.len();
        settings.retain(|setting, _| !MIRRORING.contains(&setting.as_str()));
        if settings.len() < before {
            note = Some(format!("how policy '{name}' in vhost '{vhost}' would mirror queues"));
            if settings.is_empty() {
                return Ok((None, note));
            }
        }
    }
    let draft = Draft {
        pattern: policy.find("pattern"),
        definition: definition.as_ref(),
        priority: policy.find("priority"),
        apply_to: policy.find("apply-to"),
    };
    let policy = Policy::new(PolicyKind::Policy, &vhost, &name, draft);
    let policy = policy
        .map_err(|invalid| faulty(&invalid, format!("vhost: \"{vhost}\" key: \"{name}\"")))?;
    Ok((Some(policy), note))
}

/// Limits that stand with a vhost, as the parameter that they are.
fn vhost_limits(vhost: &Object<'_>) -> Result<Option<ParameterRecord>, String> {
    let Some(Value::Array(limits)) = vhost.find("limits") else { return Ok(None) };
    let limit = |limit: &Value| {
        let name = limit.get("name").and_then(Value::as_str)?;
        Some((name.to_owned(), limit.get("value")?.clone()))
    };
    let value: serde_json::Map<String, Value> = limits.iter().filter_map(limit).collect();
    let (vhost, component) = (vhost.short("name")?, VHOST_LIMITS.to_owned());
    let name = "limits".to_owned();
    let record = ParameterRecord { vhost, component, name, value: Value::Object(value) };
    Ok((!limits.is_empty()).then_some(record))
}

/// What of a user or a vhost is passed over.
fn without_effect(kind: &str, object: &Object<'_>) -> Result<Option<String>, String> {
    let name = object.short("name")?;
    let metadata = object.object("metadata")?;
    let default = metadata.find("default_queue_type").and_then(Value::as_str);
    match default {
        Some("stream") => Ok(Some(format!("default queue type 'stream' of {kind} '{name}'"))),
        Some(_) | None => Ok(None),
    }
}

/// What is wrong with a policy or a parameter, which RabbitMQ tells together with its `place`.
fn faulty(invalid: &Invalid, place: String) -> Fault {
    Fault::told(invalid.reasons.join("; "), format!("{invalid} ({place})"))
}

enum Parameter {
    OperatorPolicy(Policy),
    Other(ParameterRecord),
}

fn parameter(parameter: &Object<'_>) -> Result<Parameter, Fault> {
    let (vhost, name) = (parameter.vhost()?, parameter.short("name")?);
    let component = parameter.text("component")?;
    let value = parameter.find("value").cloned().unwrap_or(Value::Null);
    let place = format!("vhost: \"{vhost}\" / component: \"{component}\" / key: \"{name}\"");
    match component.as_str() {
        "operator_policy" => Policy::from_parameter(PolicyKind::Operator, &vhost, &name, &value)
            .map(Parameter::OperatorPolicy)
            .map_err(|invalid| faulty(&invalid, place)),
        "policy" => {
            let reason = "policies may not be set using this method";
            Err(Fault::told(reason, format!("{reason} ({place})")))
        }
        VHOST_LIMITS => match parameters::limit_faults(&value) {
            faults if faults.is_empty() => {
                Ok(Parameter::Other(ParameterRecord { vhost, component, name, value }))
            }
            reasons => Err(faulty(&Invalid { reasons }, place)),
        },
        _ => Ok(Parameter::Other(ParameterRecord { vhost, component, name, value })),
    }
}

fn exchange(exchange: &Object<'_>) -> Result<ExchangeRecord, Fault> {
    let kind = exchange.text("type")?;
    let (vhost, name) = (exchange.vhost()?, exchange.short("name")?);
    Ok(ExchangeRecord {
        vhost,
        name,
        kind: ExchangeKind::parse(&kind).ok_or_else(|| {
            let told = format!("precondition_failed: unknown exchange type '{kind}'");
            Fault::told(format!("invalid exchange type '{kind}'"), told)
        })?,
        durable: exchange.flag("durable", true)?,
        auto_delete: exchange.flag("auto_delete", false)?,
        internal: exchange.flag("internal", false)?,
        arguments: exchange.arguments()?,
        window: None,
    })
}

fn queue(queue: &Object<'_>) -> Result<QueueDefinition, String> {
    let (vhost, name) = (queue.vhost()?, queue.short("name")?);
    if name.is_empty() {
        return Err("'name' is empty".to_owned());
    }
    Ok(QueueDefinition {
        vhost,
        name,
        durable: queue.flag("durable", true)?,
        auto_delete: queue.flag("auto_delete", false)?,
        arguments: queue.arguments()?,
    })
}

fn binding(binding: &Object<'_>) -> Result<BindingRecord, String> {
    let kind = binding.text("destination_type")?;
    Ok(BindingRecord {
        vhost: binding.vhost()?,
        source: binding.short("source")?,
        destination_kind: match kind.as_str() {
            "queue" => DestinationKind::Queue,
            "exchange" => DestinationKind::Exchange,
            _ => return Err(format!("'destination_type' is queue or exchange, not '{kind}'")),
        },
        destination: binding.short("destination")?,
        routing_key: binding.short_or("routing_key", "")?,
        arguments: binding.arguments()?,
    })
}

#[cfg(test)]
mod tests;
