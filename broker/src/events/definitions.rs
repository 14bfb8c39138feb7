//! What there is to say of definitions: exchanges, queues, bindings, vhosts, users, permissions,
//! policies and parameters.
//!
//! Called by `vhost`, `auth`, `import` and `broker` when a change takes effect. Names and types are
//! RabbitMQ's.

use leveret_protocol::types::{FieldTable, FieldValue};
use serde_json::{Map, Value, json};

use super::clients::process;
use super::{Event, Events, terms};
use crate::definitions::command::Parameter;
use crate::definitions::json_arguments;
use crate::definitions::parameters::{
    GlobalParameterRecord, ParameterRecord, TopicPermissionKey, TopicPermissionRecord, VHOST_LIMITS,
};
use crate::definitions::records::{
    BindingRecord, DestinationKind, ExchangeRecord, PermissionKey, PermissionRecord, QueueRecord,
    UserLimits, UserRecord, VhostRecord,
};
use crate::keys::ConnectionId;
use crate::names;
use crate::policy::{Policy, PolicyKind, QueueType};

const QUEUE_TYPE: &str = "x-queue-type";

/// An exchange is there.
pub(crate) fn exchange_created(exchange: &ExchangeRecord) -> Event {
    Event::new("exchange.created")
        .with("arguments", terms::fields(&exchange.arguments))
        .with("auto_delete", exchange.auto_delete)
        .with("durable", exchange.durable)
        .with("internal", exchange.internal)
        .with("name", &*exchange.name)
        .with("policy", "")
        .with("type", exchange.kind.name())
        .with("vhost", &*exchange.vhost)
        .by_whoever_acts()
}

/// An exchange is gone.
pub(crate) fn exchange_deleted(vhost: &str, name: &str) -> Event {
    Event::new("exchange.deleted").with("name", name).with("vhost", vhost).by_whoever_acts()
}

/// A queue is there, for everyone or for one connection.
pub(crate) fn queue_created(queue: &QueueRecord, owner: Option<ConnectionId>) -> Event {
    let mut arguments = queue.arguments.clone();
    if !arguments.contains(QUEUE_TYPE) {
        // RabbitMQ adds it where it is not told.
        arguments.insert(QUEUE_TYPE, "classic");
    }
    let event = Event::new("queue.created")
        .with("arguments", terms::fields(&arguments))
        .with("auto_delete", queue.auto_delete)
        .with("durable", queue.durable)
        .with("exclusive", owner.is_some())
        .with("name", &*queue.name)
        .with("type", queue_type(&queue.arguments))
        .with("vhost", &*queue.vhost)
        .by_whoever_acts();
    if QueueType::of(&queue.arguments) != QueueType::Classic {
        return event;
    }
    let owner = owner.map(|owner| process(owner, 0)).unwrap_or_default();
    event
        .with("leader", names::node())
        .with("members", FieldValue::Array(vec![names::node().into()]))
        .with("owner_pid", &*owner)
}

/// A queue is gone.
pub(crate) fn queue_deleted(vhost: &str, name: &str, arguments: &FieldTable) -> Event {
    Event::new("queue.deleted")
        .with("name", name)
        .with("type", queue_type(arguments))
        .with("vhost", vhost)
        .by_whoever_acts()
}

fn queue_type(arguments: &FieldTable) -> &'static str {
    match QueueType::of(arguments) {
        QueueType::Classic => "rabbit_classic_queue",
        QueueType::Quorum => "rabbit_quorum_queue",
        QueueType::Stream => "rabbit_stream_queue",
    }
}

/// A binding is there.
pub(crate) fn binding_created(binding: &BindingRecord) -> Event {
    self::binding("binding.created", binding)
}

/// A binding is gone.
pub(crate) fn binding_deleted(binding: &BindingRecord) -> Event {
    self::binding("binding.deleted", binding)
}

fn binding(key: &'static str, binding: &BindingRecord) -> Event {
    let kind = match binding.destination_kind {
        DestinationKind::Queue => "queue",
        DestinationKind::Exchange => "exchange",
    };
    Event::new(key)
        .with("arguments", terms::fields(&binding.arguments))
        .with("destination_kind", kind)
        .with("destination_name", &*binding.destination)
        .with("routing_key", &*binding.routing_key)
        .with("source_kind", "exchange")
        .with("source_name", &*binding.source)
        .with("vhost", &*binding.vhost)
        .by_whoever_acts()
}

/// A vhost is there.
pub(crate) fn vhost_created(vhost: &VhostRecord) -> Event {
    about_vhost("vhost.created", vhost).by_whoever_acts()
}

fn about_vhost(key: &'static str, vhost: &VhostRecord) -> Event {
    let tags = texts(&vhost.tags);
    let running: FieldTable = [(names::node(), FieldValue::from("running"))].into_iter().collect();
    let queue_type = vhost.default_queue_type.as_deref().unwrap_or("classic");
    let protected = match vhost.protected_from_deletion {
        true => ",protected_from_deletion => true",
        false => "",
    };
    let metadata = format!(
        "#{{description => {},tags => [{}],default_queue_type => {}{protected}}}",
        terms::binary(vhost.description.as_bytes()),
        vhost.tags.join(","),
        terms::binary(queue_type.as_bytes())
    );
    Event::new(key)
        .with("cluster_state", FieldValue::Table(running))
        .with("default_queue_type", queue_type)
        .with("description", &*vhost.description)
        .with("metadata", &*metadata)
        .with("name", &*vhost.name)
        .with("protected_from_deletion", vhost.protected_from_deletion)
        .with("tags", tags)
        .with("tracing", vhost.tracing)
}

/// A vhost is described otherwise.
pub(crate) fn vhost_updated(vhost: &VhostRecord) -> Event {
    let event = about_vhost("vhost.updated", vhost);
    event.with("deletion_protection", vhost.protected_from_deletion).by_whoever_acts()
}

/// A vhost is stopped, which is the last that is told of it.
pub(crate) fn vhost_down(name: &str) -> Event {
    Event::new("vhost.down").with("name", name).with("node", names::node()).by_nobody()
}

/// A vhost is gone.
pub(crate) fn vhost_deleted(name: &str) -> Event {
    Event::new("vhost.deleted").with("name", name).by_whoever_acts()
}

fn texts(texts: &[String]) -> FieldValue {
    FieldValue::Array(texts.iter().map(|text| FieldValue::from(&**text)).collect())
}

/// A user is there.
pub(crate) fn user_created(name: &str) -> Event {
    user("user.created", name)
}

/// A user is gone.
pub(crate) fn user_deleted(name: &str) -> Event {
    user("user.deleted", name)
}

/// A user has another password.
pub(crate) fn password_changed(name: &str) -> Event {
    user("user.password.changed", name)
}

/// A user cannot log in with a password any more.
pub(crate) fn password_cleared(name: &str) -> Event {
    user("user.password.cleared", name)
}

/// A user may have so much.
pub(crate) fn user_limits_set(user: &str, limits: UserLimits) -> Event {
    let event = Event::new("user.limits.set").with("name", "limits").with("username", user);
    let set = limits.each().into_iter().filter_map(|(name, limit)| Some((name, limit?)));
    let number = |limit: u64| FieldValue::I64(i64::try_from(limit).unwrap_or(i64::MAX));
    set.fold(event, |event, (name, limit)| event.with(name, number(limit))).by_whoever_acts()
}

/// A user may have more again.
pub(crate) fn user_limits_cleared(user: &str) -> Event {
    Event::new("user.limits.cleared")
        .with("name", "limits")
        .with("username", user)
        .by_whoever_acts()
}

/// A user has other tags.
pub(crate) fn tags_set(record: &UserRecord) -> Event {
    user("user.tags.set", &record.name).with("tags", texts(&record.tags))
}

fn user(key: &'static str, name: &str) -> Event {
    Event::new(key).with("name", name).by_whoever_acts()
}

/// A user may do this in a vhost.
pub(crate) fn permission_created(given: &PermissionRecord) -> Event {
    Event::new("permission.created")
        .with("configure", &*given.configure)
        .with("read", &*given.read)
        .with("write", &*given.write)
        .with("user", &*given.user)
        .with("vhost", &*given.vhost)
        .by_whoever_acts()
}

/// A user may do nothing in a vhost.
pub(crate) fn permission_deleted(key: &PermissionKey) -> Event {
    Event::new("permission.deleted")
        .with("user", &*key.user)
        .with("vhost", &*key.vhost)
        .by_whoever_acts()
}

/// A user may use these routing keys.
pub(crate) fn topic_permission_created(given: &TopicPermissionRecord) -> Event {
    Event::new("topic.permission.created")
        .with("exchange", &*given.exchange)
        .with("read", &*given.read)
        .with("write", &*given.write)
        .with("user", &*given.user)
        .with("vhost", &*given.vhost)
        .by_whoever_acts()
}

/// A user may use any routing key of an exchange.
pub(crate) fn topic_permission_deleted(key: &TopicPermissionKey) -> Event {
    Event::new("topic.permission.deleted")
        .with("exchange", &*key.exchange)
        .with("user", &*key.user)
        .with("vhost", &*key.vhost)
        .by_whoever_acts()
}

/// A policy says this.
pub(crate) fn policy_set(policy: &Policy) -> Event {
    let said = said(policy);
    let event = Event::new("policy.set").with("name", &*policy.name).with("vhost", &*policy.vhost);
    let fields = ["apply-to", "definition", "pattern", "priority"];
    let event = fields.into_iter().fold(event, |event, name| match said.get(name) {
        Some(value) => event.with(name, value.clone()),
        None => event,
    });
    event.by_whoever_acts()
}

/// What an operator policy is beside that: a parameter.
pub(crate) fn operator_policy_set(policy: &Policy) -> Event {
    let value = FieldValue::Table(said(policy));
    parameter("parameter.set", policy.kind.component(), &policy.name, Some(value))
        .with("vhost", &*policy.vhost)
}

/// What a policy says, as a table.
fn said(policy: &Policy) -> FieldTable {
    let mut said = Map::new();
    said.insert("apply-to".to_owned(), json!(policy.apply_to.name()));
    said.insert("definition".to_owned(), Value::Object(policy.definition.clone()));
    said.insert("pattern".to_owned(), json!(policy.pattern.as_str()));
    said.insert("priority".to_owned(), Value::Number(policy.priority.clone()));
    json_arguments::from_json(&said).unwrap_or_default()
}

/// A policy says nothing any more.
pub(crate) fn policy_cleared(vhost: &str, kind: PolicyKind, name: &str) -> Event {
    let key = match kind {
        PolicyKind::Policy => "policy.cleared",
        PolicyKind::Operator => "operator.policy.cleared",
    };
    Event::new(key).with("name", name).with("vhost", vhost).by_whoever_acts()
}

/// What an operator policy was beside that: a parameter.
pub(crate) fn operator_policy_cleared(vhost: &str, name: &str) -> Event {
    parameter("parameter.cleared", PolicyKind::Operator.component(), name, None)
        .with("vhost", vhost)
}

/// Tells of a change to parameters, and of what it means for limits.
pub(crate) fn tell_of_parameter(events: &Events, change: &Parameter) {
    match change {
        Parameter::Put(given) => {
            events.tell(|| parameter_set(given));
            if given.component == VHOST_LIMITS {
                events.tell(|| vhost_limits_set(given));
            }
        }
        Parameter::Delete(key) => {
            events.tell(|| {
                parameter("parameter.cleared", &key.component, &key.name, None)
                    .with("vhost", &*key.vhost)
            });
            if key.component == VHOST_LIMITS {
                events.tell(|| vhost_limits("vhost.limits.cleared", &key.vhost).by_whoever_acts());
            }
        }
        Parameter::PutGlobal(given) => events.tell(|| global_parameter_set(given)),
        Parameter::DeleteGlobal(key) => {
            events.tell(|| parameter("parameter.cleared", "global", &key.name, None))
        }
        Parameter::Imported(_) => {}
    }
}

/// There may be so much in a vhost.
fn vhost_limits_set(given: &ParameterRecord) -> Event {
    let said = given.value.as_object().and_then(|said| json_arguments::from_json(said).ok());
    let said = said.unwrap_or_default();
    let event = vhost_limits("vhost.limits.set", &given.vhost);
    let limits = [
        "max-connections",
        "max-queues",
        "max-held-bytes",
        "max-publish-rate",
        "max-publish-byte-rate",
    ];
    let event = limits.into_iter().fold(event, |event, name| match said.get(name) {
        Some(limit) => event.with(name, limit.clone()),
        None => event,
    });
    event.by_whoever_acts()
}

fn vhost_limits(key: &'static str, vhost: &str) -> Event {
    Event::new(key).with("name", "limits").with("vhost", vhost)
}

/// A parameter of a vhost says this.
fn parameter_set(given: &ParameterRecord) -> Event {
    let value = json_arguments::field_value(&given.value).ok();
    parameter("parameter.set", &given.component, &given.name, value).with("vhost", &*given.vhost)
}

/// A parameter of the broker says this.
fn global_parameter_set(given: &GlobalParameterRecord) -> Event {
    let value = json_arguments::field_value(&given.value).ok();
    parameter("parameter.set", "global", &given.name, value)
}

fn parameter(key: &'static str, component: &str, name: &str, value: Option<FieldValue>) -> Event {
    let event = Event::new(key).with("component", component).with("name", name);
    match value {
        Some(value) => event.with("value", value),
        None => event,
    }
    .by_whoever_acts()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(event: &Event) -> String {
        let headers = event.headers();
        let names = headers.iter().map(|(name, _)| name).filter(|name| *name != "timestamp_in_ms");
        names.collect::<Vec<_>>().join(" ")
    }

    /// As RabbitMQ 4.3 tells them.
    #[test]
    fn what_is_told_of_vhosts_and_limits() {
        let vhost = VhostRecord { protected_from_deletion: true, ..VhostRecord::plain("v") };
        let about = "cluster_state default_queue_type description metadata name \
                     protected_from_deletion tags tracing user_who_performed_action";
        assert_eq!(names(&vhost_created(&vhost)), about);
        let updated = vhost_updated(&vhost);
        let about =
            about.replace("description metadata", "deletion_protection description metadata");
        assert_eq!(names(&updated), about);
        let metadata = "#{description => <<>>,tags => [],default_queue_type => <<\"classic\">>,\
                        protected_from_deletion => true}";
        assert_eq!(updated.headers().get("metadata"), Some(&metadata.into()));
        assert_eq!(names(&vhost_down("v")), "name node user_who_performed_action");
        let limits = UserLimits { max_channels: Some(5), ..UserLimits::default() };
        let set = user_limits_set("bob", limits);
        assert_eq!(names(&set), "max-channels name user_who_performed_action username");
        assert_eq!(set.headers().get("max-channels"), Some(&FieldValue::I64(5)));
        let cleared = user_limits_cleared("bob");
        assert_eq!(names(&cleared), "name user_who_performed_action username");
        let record = ParameterRecord {
            vhost: "v".to_owned(),
            component: VHOST_LIMITS.to_owned(),
            name: "limits".to_owned(),
            value: json!({"max-queues": 4, "max-connections": 3}),
        };
        let set = vhost_limits_set(&record);
        let said = "max-connections max-queues name user_who_performed_action vhost";
        assert_eq!(names(&set), said);
    }
}
