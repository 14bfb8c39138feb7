//! Messages of management's own: one published to an exchange, some fetched from a queue.

use std::sync::Arc;

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::RawTable;
use serde_json::{Map, Value, json};

use super::Management;
use super::acting::{Actor, with_code};
use super::answer::{Answer, Fault, blocking, json, stored};
use super::authorization::Visitor;
use super::lenient::{self, null_not_allowed};
use super::request::{Document, named};
use crate::auth::rights::Permission;
use crate::definitions::json_arguments::{from_json, to_json};
use crate::error::{AmqpError, ChannelError};
use crate::keys::{DeliveryKey, Outcome};
use crate::message::{HeadLayout, INLINE_BODY_MAX, Message};
use crate::queue::{Effects, Fetched, Got, Queue};
use crate::session::channel::message_properties::{self, Checked};
use crate::session::channel::reply_to::PSEUDO_QUEUE;
use crate::session::declaring::Acting;
use crate::vhost::injecting::Injected;

/// Messages that are fetched at once at most: they are all in memory until the answer is out.
const FETCHED_MAX: usize = 10_000;
/// Bytes of them, unless it is a single one.
const FETCHED_BYTES_MAX: usize = 64 << 20;
/// The tag of users who may publish in others' names.
const IMPERSONATOR: &str = "impersonator";

/// `POST /api/exchanges/VHOST/EXCHANGE/publish`.
pub(super) async fn publish(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, exchange)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let there = management.broker.vhost(&vhost);
    let there = there.ok_or_else(|| Fault::missing("vhost_not_found"))?;
    visitor.vhost(&management, &vhost).await?;
    let exchange = named(&exchange).to_owned();
    there.exchange(&exchange).ok_or_else(|| Fault::missing("exchange_not_found"))?;
    lenient::require(&body, &["routing_key", "properties", "payload", "payload_encoding"])?;
    let routing_key = lenient::text(&body, "routing_key")?.unwrap_or_default();
    let (payload, properties) = (payload(&body)?, Properties::read(&body)?);
    let actor = visitor.actor(&management, &vhost).await?;
    let refused = |error: AmqpError| match error {
        AmqpError::Channel(error) => Fault::bad_request(with_code(&error)),
        AmqpError::Connection(error) => error.into(),
    };
    let may_impersonate = visitor.tags().contains(&IMPERSONATOR);
    let (message, keys) =
        message(&actor, (&exchange, &routing_key), &properties, payload, may_impersonate)
            .await
            .map_err(refused)?;
    if management.broker.messages().refuses() {
        return Err(Fault::internal("the disk is full, the message was not published"));
    }
    let injected = blocking(move || {
        let found = actor.vhost().exchange(&exchange)?;
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        Some(actor.vhost().inject(&found, &message, &keys))
    });
    let missing = || Fault::missing("exchange_not_found");
    let (became, durable) = injected.await?.ok_or_else(missing)?;
    stored(durable).await?;
    match became {
        Injected::Routed => Ok(json(&json!({"routed": true}))),
        Injected::Unroutable => Ok(json(&json!({"routed": false}))),
        Injected::Refused => Err(Fault::bad_request("rejected by queue")),
    }
}

fn payload(body: &Map<String, Value>) -> Result<Bytes, Fault> {
    let Some(Value::String(payload)) = body.get("payload") else {
        return Err(Fault::bad_request("payload_not_string"));
    };
    let pair = |word: &str, value: &Value| {
        Fault::bad_request(Value::Array(vec![word.into(), value.clone()]))
    };
    match body.get("payload_encoding") {
        Some(Value::String(encoding)) if encoding == "string" => Ok(payload.clone().into()),
        Some(Value::String(encoding)) if encoding == "base64" => {
            let decoded = STANDARD.decode(payload);
            decoded.map(Bytes::from).map_err(|_| pair("not_base64", &payload.as_str().into()))
        }
        other => Err(pair("unsupported_encoding", other.unwrap_or(&Value::Null))),
    }
}

/// The properties of a message that is to be published; what is no property is passed over, as on
/// RabbitMQ.
#[derive(Default)]
pub(super) struct Properties {
    texts: Map<String, Value>,
    headers: Option<Vec<u8>>,
    delivery_mode: Option<u8>,
    priority: Option<u8>,
    timestamp: Option<u64>,
}

impl Properties {
    /// As a body gives them.
    ///
    /// # Errors
    /// One cannot be what it should be.
    pub(super) fn read(body: &Map<String, Value>) -> Result<Self, Fault> {
        let given = lenient::object(body, "properties")?.unwrap_or_default();
        let headers = lenient::object(&given, "headers")?;
        let headers = headers.map(|headers| from_json(&headers)).transpose();
        let headers = headers.map_err(null_not_allowed)?;
        let octet = |name: &str| {
            let number = number(&given, name)?;
            number.map(|number| u8::try_from(number).map_err(|_| not_int(name))).transpose()
        };
        Ok(Self {
            headers: headers.map(|headers| headers.to_bytes()),
            delivery_mode: octet("delivery_mode")?,
            priority: octet("priority")?,
            timestamp: number(&given, "timestamp")?,
            texts: given,
        })
    }

    fn text(&self, name: &str) -> Option<&[u8]> {
        self.texts.get(name).and_then(Value::as_str).map(str::as_bytes)
    }

    /// As AMQP has them.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let properties = BasicProperties {
            content_type: self.text("content_type"),
            content_encoding: self.text("content_encoding"),
            headers: self.headers.as_deref().map(RawTable::new),
            delivery_mode: self.delivery_mode,
            priority: self.priority,
            correlation_id: self.text("correlation_id"),
            reply_to: self.text("reply_to"),
            expiration: self.text("expiration"),
            message_id: self.text("message_id"),
            timestamp: self.timestamp,
            message_type: self.text("type"),
            user_id: self.text("user_id"),
            app_id: self.text("app_id"),
            cluster_id: self.text("cluster_id"),
            ..BasicProperties::default()
        };
        properties.encode(&mut out);
        out
    }
}

/// RabbitMQ takes no text for these.
fn number(given: &Map<String, Value>, name: &str) -> Result<Option<u64>, Fault> {
    let value = lenient::given(given, name);
    value.map(|value| value.as_u64().ok_or_else(|| not_int(name))).transpose()
}

fn not_int(name: &str) -> Fault {
    Fault::bad_request(json!(["not_int", name]))
}

/// The message, and all its routing keys, once it was checked as AMQP's are.
async fn message(
    actor: &Arc<Actor>,
    (exchange, routing_key): (&str, &str),
    given: &Properties,
    body: Bytes,
    may_impersonate: bool,
) -> Result<(Message, Vec<String>), AmqpError> {
    let shown = if exchange.is_empty() { "amq.default" } else { exchange };
    let vhost = actor.vhost();
    actor.assert(Permission::Write, &vhost.exchange_name(shown), shown).await?;
    let found = vhost.expect_exchange(exchange)?;
    if found.settings().internal {
        let text = format!("cannot publish to internal {}", vhost.exchange_name(exchange));
        return Err(ChannelError::Refused(text).into());
    }
    let encoded = given.encoded();
    let properties = BasicProperties::parse(&encoded)?;
    if properties.reply_to == Some(PSEUDO_QUEUE.as_bytes()) {
        let text = "fast reply consumer does not exist".to_owned();
        return Err(ChannelError::Precondition(text).into());
    }
    let by = (actor.user(), may_impersonate);
    let Checked { extra_keys, hidden_keys, rewritten } =
        message_properties::check_of(&properties, None, by)?;
    let mut keys = vec![routing_key.to_owned()];
    keys.extend(extra_keys);
    if found.is_topic() {
        for key in &keys {
            actor.assert_topic(Permission::Write, exchange, key).await?;
        }
    }
    let properties = match &rewritten {
        Some(rewritten) => BasicProperties::parse(rewritten)?,
        None => properties,
    };
    let too_long =
        || ChannelError::Precondition("the routing key has more than 255 octets".to_owned());
    let message = laid_out((exchange, routing_key), &properties, body);
    let message = message.ok_or_else(too_long)?;
    let message =
        if hidden_keys.is_empty() { message } else { message.with_hidden_keys(&hidden_keys) };
    Ok((message, keys))
}

/// A message as a client would have published it; `None` if its envelope is too long.
pub(super) fn laid_out(
    (exchange, routing_key): (&str, &str),
    properties: &BasicProperties<'_>,
    body: Bytes,
) -> Option<Message> {
    let mut head = Vec::new();
    for name in [exchange, routing_key] {
        head.push(u8::try_from(name.len()).ok()?);
        head.extend_from_slice(name.as_bytes());
    }
    let properties_at = u16::try_from(head.len()).ok()?;
    properties.encode(&mut head);
    let layout = HeadLayout { properties_at, body_at: u32::try_from(head.len()).ok()? };
    let is_small = body.len() < INLINE_BODY_MAX;
    if is_small {
        head.extend_from_slice(&body);
    }
    let is_persistent = properties.delivery_mode == Some(2);
    let message = Message::new(&head, layout, (!is_small).then_some(body), is_persistent);
    Some(message.with_priority(properties.priority.unwrap_or(0)))
}

/// What becomes of what was fetched.
fn outcome(mode: &str) -> Option<Outcome> {
    match mode {
        "ack_requeue_true" => Some(Outcome::Requeue),
        "ack_requeue_false" => Some(Outcome::Ack),
        "reject_requeue_true" => Some(Outcome::Failed),
        "reject_requeue_false" => Some(Outcome::Discard),
        _ => None,
    }
}

/// How bodies are shown.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    /// All in base64, and not those alone that are no text.
    in_base64: bool,
    /// So many octets at most.
    truncate: usize,
}

impl Shown {
    /// As `encoding` and `truncate` say it.
    ///
    /// # Errors
    /// There is no such encoding.
    pub(super) fn of(encoding: Option<&str>, truncate: Option<i64>) -> Result<Self, Fault> {
        let in_base64 = match encoding {
            Some("auto") => false,
            Some("base64") => true,
            _ => {
                let text = "Unsupported encoding. Please use auto or base64.";
                return Err(Fault::bad_request(text));
            }
        };
        let truncate = truncate.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        Ok(Self { in_base64, truncate })
    }
}

/// `POST /api/queues/VHOST/QUEUE/get`.
pub(super) async fn get(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(mut body): Document,
) -> Answer {
    let there = management.broker.vhost(&vhost);
    let there = there.ok_or_else(|| Fault::missing("vhost_not_found"))?;
    visitor.vhost(&management, &vhost).await?;
    there.queue(&name).ok_or_else(|| Fault::missing("queue_not_found"))?;
    // What RabbitMQ before 3.7 called it, and some clients still do.
    if let Some(requeue) =
        lenient::flag(&body, "requeue")?.filter(|_| !body.contains_key("ackmode"))
    {
        body.insert("ackmode".to_owned(), format!("ack_requeue_{requeue}").into());
    }
    lenient::require(&body, &["count", "ackmode", "encoding"])?;
    let count = lenient::integer(&body, "count")?.unwrap_or_default();
    let count = usize::try_from(count).unwrap_or(0).min(FETCHED_MAX);
    let mode = lenient::text(&body, "ackmode")?.unwrap_or_default();
    let outcome = outcome(&mode).ok_or_else(|| {
        Fault::bad_request(format!(
            "Invalid ackmode value: {mode}. Valid values are: ack_requeue_true, \
             ack_requeue_false, reject_requeue_true, reject_requeue_false"
        ))
    })?;
    let encoding = lenient::text(&body, "encoding")?;
    let shown = Shown::of(encoding.as_deref(), lenient::integer(&body, "truncate")?)?;
    let actor = visitor.actor(&management, &vhost).await?;
    let queue = fetchable(&actor, &name).await?;
    // A task of its own: what was fetched is settled also when nobody waits for it any more.
    let fetched = tokio::spawn(fetch(queue, count, outcome));
    let fetched = fetched.await.map_err(|error| Fault::internal(&error.to_string()))?;
    let fetched: Vec<Value> = fetched.iter().map(|got| rendered(got, shown)).collect();
    Ok(json(&fetched))
}

async fn fetchable(actor: &Arc<Actor>, name: &str) -> Result<Arc<Queue>, Fault> {
    let resource = actor.vhost().queue_name(name);
    actor
        .assert(Permission::Read, &resource, name)
        .await
        .map_err(|error| Fault::not_authorised(&format!("ACCESS_REFUSED - {error}")))?;
    let queue = actor.vhost().open_queue(name, actor.connection())?;
    match queue.refuses_gets() {
        true => Err(ChannelError::NotFetchable(resource).into()),
        false => Ok(queue),
    }
}

async fn fetch(queue: Arc<Queue>, count: usize, outcome: Outcome) -> Vec<Got> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    while all.len() < count && bytes < FETCHED_BYTES_MAX {
        let mut effects = Effects::default();
        let fetched = queue.get(false, |_| None, &mut effects);
        effects.carry_out(queue.messages());
        match fetched {
            Fetched::Got(got) => {
                bytes += got.message.body().len();
                all.push(got);
            }
            Fetched::Empty => break,
            Fetched::NotResident => queue.read().await,
        }
    }
    let keys: Vec<(DeliveryKey, Outcome)> = all.iter().map(|got| (got.key, outcome)).collect();
    let mut effects = Effects::default();
    queue.settle(keys.into_iter(), &mut effects);
    effects.carry_out(queue.messages());
    all
}

fn rendered(got: &Got, shown: Shown) -> Value {
    let mut fields = content(&got.message, shown);
    fields.insert("redelivered".to_owned(), got.redelivered.into());
    fields.insert("message_count".to_owned(), got.remaining.into());
    // RabbitMQ has a list of properties where there is none, and clients know it so.
    if fields.get("properties").and_then(Value::as_object).is_some_and(Map::is_empty) {
        fields.insert("properties".to_owned(), json!([]));
    }
    fields.into()
}

/// What a message says.
pub(super) fn content(message: &Message, shown: Shown) -> Map<String, Value> {
    let body = message.body();
    let part = body.get(..shown.truncate).unwrap_or(body);
    let text = str::from_utf8(part).ok().filter(|_| !shown.in_base64);
    let (encoding, payload) = match text {
        Some(text) => ("string", text.to_owned()),
        None => ("base64", STANDARD.encode(part)),
    };
    super::overview::object(json!({
        "payload_bytes": body.len(),
        "exchange": String::from_utf8_lossy(message.exchange()),
        "routing_key": String::from_utf8_lossy(message.routing_key()),
        "properties": properties_of(message),
        "payload": payload,
        "payload_encoding": encoding,
    }))
}

/// The properties that a message has.
pub(super) fn properties_of(message: &Message) -> Value {
    let properties = BasicProperties::parse(message.properties()).unwrap_or_default();
    let mut fields = Map::new();
    for (name, value) in [
        ("content_type", properties.content_type),
        ("content_encoding", properties.content_encoding),
        ("correlation_id", properties.correlation_id),
        ("reply_to", properties.reply_to),
        ("expiration", properties.expiration),
        ("message_id", properties.message_id),
        ("type", properties.message_type),
        ("user_id", properties.user_id),
        ("app_id", properties.app_id),
        ("cluster_id", properties.cluster_id),
    ] {
        if let Some(text) = value {
            fields.insert(name.to_owned(), String::from_utf8_lossy(text).into());
        }
    }
    for (name, value) in [
        ("delivery_mode", properties.delivery_mode.map(u64::from)),
        ("priority", properties.priority.map(u64::from)),
        ("timestamp", properties.timestamp),
    ] {
        if let Some(number) = value {
            fields.insert(name.to_owned(), number.into());
        }
    }
    if properties.headers.is_some() {
        fields.insert("headers".to_owned(), to_json(&message.header_table()).into());
    }
    fields.into()
}
