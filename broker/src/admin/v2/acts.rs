//! What commands of the second rabbitmqadmin do that are more than a list or a question without a body.
//!
//! A room of `admin::v2`, named by `commands`.

use std::io::{Read, Write};

use serde_json::{Map, Value, json};

use super::Call;
use super::transforming::transformed;
use crate::admin::{Ended, Said};
use crate::ctl::client::segment;
use crate::password::{self, HashingAlgorithm};

type Done = Result<Said, Ended>;

/// It is so anyway.
pub(super) fn nothing(_: &Call<'_>) -> Done {
    Ok(None)
}

fn arguments(call: &Call<'_>) -> Result<Map<String, Value>, Ended> {
    match call.json("arguments")? {
        Value::Object(arguments) => Ok(arguments),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Ended { text: "arguments are an object of JSON".to_owned(), code: super::DATA })
        }
    }
}

fn declare(call: &Call<'_>, path: &str, body: &Value) -> Done {
    call.send("PUT", path, Some(body)).map(|_| None)
}

pub(super) fn declare_queue(call: &Call<'_>) -> Done {
    let mut arguments = arguments(call)?;
    arguments.insert("x-queue-type".to_owned(), call.value("type").into());
    let body = json!({
        "durable": call.value("durable") == "true",
        "auto_delete": call.value("auto-delete") == "true",
        "arguments": arguments,
    });
    declare(call, &call.path("/queues/{vhost}/{name}"), &body)
}

pub(super) fn declare_stream(call: &Call<'_>) -> Done {
    let mut arguments = arguments(call)?;
    arguments.insert("x-queue-type".to_owned(), "stream".into());
    arguments.insert("x-max-age".to_owned(), call.value("expiration").into());
    for (option, argument) in [
        ("max-length-bytes", "x-max-length-bytes"),
        ("stream-max-segment-size-bytes", "x-stream-max-segment-size-bytes"),
    ] {
        let number = call.given(option).and_then(|text| text.parse::<u64>().ok());
        arguments.extend(number.map(|number| (argument.to_owned(), number.into())));
    }
    let body = json!({"durable": true, "auto_delete": false, "arguments": arguments});
    declare(call, &call.path("/queues/{vhost}/{name}"), &body)
}

pub(super) fn declare_exchange(call: &Call<'_>) -> Done {
    let body = json!({
        "type": call.value("type"),
        "durable": call.value("durable") == "true",
        "auto_delete": call.value("auto-delete") == "true",
        "arguments": arguments(call)?,
    });
    declare(call, &call.path("/exchanges/{vhost}/{name}"), &body)
}

/// Where the bindings are between an exchange and what it leads to.
fn between(call: &Call<'_>) -> String {
    let kind = if call.value("destination-type").starts_with('e') { "e" } else { "q" };
    call.path(&format!("/bindings/{{vhost}}/e/{{source}}/{kind}/{{destination}}"))
}

pub(super) fn bind(call: &Call<'_>) -> Done {
    let body = json!({"routing_key": call.value("routing-key"), "arguments": arguments(call)?});
    call.send("POST", &between(call), Some(&body)).map(|_| None)
}

pub(super) fn unbind(call: &Call<'_>) -> Done {
    let (path, arguments) = (between(call), Value::Object(arguments(call)?));
    let all = call.get(&path)?;
    let is_it = |binding: &&Value| {
        binding.get("routing_key").and_then(Value::as_str) == Some(call.value("routing-key"))
            && binding.get("arguments") == Some(&arguments)
    };
    let found = all.as_array().and_then(|all| all.iter().find(is_it));
    let key = found.and_then(|binding| binding.get("properties_key")).and_then(Value::as_str);
    match key {
        Some(key) => call.send("DELETE", &format!("{path}/{}", segment(key)), None).map(|_| None),
        None if call.has("idempotently") => Ok(None),
        None => Err(super::not_found()),
    }
}

pub(super) fn declare_user(call: &Call<'_>) -> Done {
    let tags = call.value("tags");
    let body = match (call.value("password"), call.value("password-hash")) {
        ("", "") => {
            let text = "Please provide either --password or --password-hash".to_owned();
            return Err(Ended { text, code: super::USAGE });
        }
        ("", hash) => json!({"password_hash": hash, "tags": tags}),
        (password, _) => {
            let hash = password::hash(algorithm(call)?, password.as_bytes());
            let module = format!(
                "rabbit_password_hashing_{}",
                call.value("hashing-algorithm").to_lowercase()
            );
            json!({"password_hash": hash, "hashing_algorithm": module, "tags": tags})
        }
    };
    declare(call, &call.path("/users/{name}"), &body)
}

fn algorithm(call: &Call<'_>) -> Result<HashingAlgorithm, Ended> {
    let name = call.value("hashing-algorithm").to_lowercase().replace('-', "");
    HashingAlgorithm::from_name(&name).filter(|_| name.starts_with("sha")).ok_or_else(|| Ended {
        text: format!("error: invalid value '{name}' for '--hashing-algorithm': SHA256 or SHA512"),
        code: super::MISTYPED,
    })
}

pub(super) fn declare_vhost(call: &Call<'_>) -> Done {
    let mut body = Map::from_iter([("tracing".to_owned(), call.has("tracing").into())]);
    for (option, member) in
        [("description", "description"), ("default-queue-type", "default_queue_type")]
    {
        body.extend(call.given(option).map(|value| (member.to_owned(), value.into())));
    }
    declare(call, &call.path("/vhosts/{name}"), &body.into())
}

pub(super) fn declare_permissions(call: &Call<'_>) -> Done {
    let [configure, read, write] = ["configure", "read", "write"].map(|name| call.value(name));
    let body = json!({"configure": configure, "read": read, "write": write});
    declare(call, &call.path("/permissions/{vhost}/{username}"), &body)
}

pub(super) fn set_parameter(call: &Call<'_>) -> Done {
    let [component, name] = ["component", "name"].map(|name| call.value(name));
    let value = call.json("value")?;
    let body = json!({"component": component, "name": name, "vhost": call.vhost(), "value": value});
    declare(call, &call.path("/parameters/{component}/{vhost}/{name}"), &body)
}

pub(super) fn set_global(call: &Call<'_>) -> Done {
    let body = json!({"name": call.value("name"), "value": call.json("value")?});
    declare(call, &call.path("/global-parameters/{name}"), &body)
}

fn policy(call: &Call<'_>) -> Result<Value, Ended> {
    Ok(json!({
        "pattern": call.value("pattern"),
        "apply-to": call.value("apply-to"),
        "priority": call.json("priority")?,
        "definition": call.json("definition")?,
    }))
}

pub(super) fn declare_policy(call: &Call<'_>) -> Done {
    declare(call, &call.path("/policies/{vhost}/{name}"), &policy(call)?)
}

pub(super) fn declare_operator_policy(call: &Call<'_>) -> Done {
    declare(call, &call.path("/operator-policies/{vhost}/{name}"), &policy(call)?)
}

/// A limit is a number.
fn limit(call: &Call<'_>) -> Result<Value, Ended> {
    let text = call.value("value");
    let number = text.parse::<i64>().map_err(|_| Ended {
        text: format!("Failed to parse JSON argument: '{text}' is not a valid integer value"),
        code: super::DATA,
    })?;
    Ok(json!({"value": number}))
}

pub(super) fn limit_vhost(call: &Call<'_>) -> Done {
    declare(call, &call.path("/vhost-limits/{vhost}/{name}"), &limit(call)?)
}

pub(super) fn limit_user(call: &Call<'_>) -> Done {
    declare(call, &call.path("/user-limits/{username}/{name}"), &limit(call)?)
}

pub(super) fn parameters(call: &Call<'_>) -> Done {
    let path = match call.given("component") {
        Some(_) => call.path("/parameters/{component}"),
        None => "/parameters".to_owned(),
    };
    let columns =
        [("name", "name"), ("vhost", "vhost"), ("component", "component"), ("value", "value+")];
    let all = call.get(&path)?;
    let of_vhost = |one: &&Value| one.get("vhost").and_then(Value::as_str) == Some(call.vhost());
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let all = all.iter().filter(of_vhost).cloned().collect();
    Ok(Some(call.list(&Value::Array(all), &columns)))
}

pub(super) fn publish(call: &Call<'_>) -> Done {
    let exchange = match call.value("exchange") {
        "" => "amq.default",
        named => named,
    };
    let path = call.path(&format!("/exchanges/{{vhost}}/{}/publish", segment(exchange)));
    let body = json!({
        "routing_key": call.value("routing-key"),
        "payload": call.value("payload"),
        "payload_encoding": "string",
        "properties": call.json("properties")?,
    });
    let answer = call.send("POST", &path, Some(&body))?;
    Ok(Some(match answer.get("routed") == Some(&Value::Bool(true)) {
        true => "Message published and routed successfully".to_owned(),
        false => "Message published but NOT routed".to_owned(),
    }))
}

pub(super) fn get(call: &Call<'_>) -> Done {
    let body = json!({
        "count": call.json("count")?, "ackmode": call.value("ack-mode"), "encoding": "auto",
    });
    let messages = call.send("POST", &call.path("/queues/{vhost}/{queue}/get"), Some(&body))?;
    let columns = [
        "payload_bytes",
        "redelivered",
        "exchange",
        "routing_key",
        "message_count",
        "properties",
        "payload",
        "payload_encoding",
    ];
    let from = |name| if name == "properties" { "properties+" } else { name };
    Ok(Some(call.list(&messages, &columns.map(|name| (name, from(name))))))
}

pub(super) fn export(call: &Call<'_>) -> Done {
    write(call, "/definitions")
}

pub(super) fn export_vhost(call: &Call<'_>) -> Done {
    write(call, &call.path("/definitions/{vhost}"))
}

fn write(call: &Call<'_>, path: &str) -> Done {
    let mut body = call.raw("GET", path, None)?;
    let changes = call.values("transformations");
    if !changes.is_empty() {
        body = transformed(&body, &changes)?;
    }
    let failed = |error: std::io::Error| Ended { text: error.to_string(), code: super::DATA };
    match call.value("file") {
        file if file == "-" || call.has("stdout") => {
            let mut out = std::io::stdout().lock();
            out.write_all(&body).and_then(|()| out.write_all(b"\n")).map_err(failed)?;
        }
        file => std::fs::write(file, body).map_err(failed)?,
    }
    Ok(None)
}

pub(super) fn import(call: &Call<'_>) -> Done {
    read(call, "/definitions")
}

pub(super) fn import_vhost(call: &Call<'_>) -> Done {
    read(call, &call.path("/definitions/{vhost}"))
}

fn read(call: &Call<'_>, path: &str) -> Done {
    let mut body = Vec::new();
    let file = call.value("file");
    let failed =
        |error: std::io::Error| Ended { text: format!("{file}: {error}"), code: super::DATA };
    match file {
        "-" => drop(std::io::stdin().lock().read_to_end(&mut body).map_err(failed)?),
        file => body = std::fs::read(file).map_err(failed)?,
    }
    call.raw("POST", path, Some(&body)).map(|_| None)
}

pub(super) fn salt_and_hash(call: &Call<'_>) -> Done {
    let hash = password::hash(algorithm(call)?, call.value("cleartext").as_bytes());
    Ok(Some(call.pairs(&[("password hash", hash)])))
}

pub(super) fn endpoint(call: &Call<'_>) -> Done {
    Ok(Some(format!("Using endpoint: {}", call.endpoint())))
}

/// Texts of the overview, and where they are in it.
const OVERVIEW: &[(&str, &str)] = &[
    ("Product name", "product_name"),
    ("Product version", "product_version"),
    ("RabbitMQ version", "rabbitmq_version"),
    ("Erlang version", "erlang_version"),
    ("Erlang details", "erlang_full_version"),
    ("Connections (total)", "object_totals.connections"),
    ("AMQP 0-9-1 channels (total)", "object_totals.channels"),
    ("Queues and streams (total)", "object_totals.queues"),
    ("Consumers (total)", "object_totals.consumers"),
    ("Messages (total)", "queue_totals.messages"),
    ("Messages ready for delivery (total)", "queue_totals.messages_ready"),
    ("Messages delivered but unacknowledged (total)", "queue_totals.messages_unacknowledged"),
    ("Publishing (ingress) rate (global)", "message_stats.publish_details.rate"),
    ("Publishing confirm rate (global)", "message_stats.confirm_details.rate"),
    ("Consumer delivery (egress) rate (global)", "message_stats.deliver_details.rate"),
    ("Consumer acknowledgement rate (global)", "message_stats.ack_details.rate"),
    ("Cluster name", "cluster_name"),
];
const CHURN: &[(&str, &str)] = &[
    ("Client connections opened", "churn_rates.connection_created"),
    ("Client connections closed", "churn_rates.connection_closed"),
    ("Client channels opened", "churn_rates.channel_created"),
    ("Client channels closed", "churn_rates.channel_closed"),
    ("Queues and streams (re)declarations", "churn_rates.queue_declared"),
    ("Queues and streams created", "churn_rates.queue_created"),
    ("Queues and streams deleted", "churn_rates.queue_deleted"),
];

pub(super) fn overview(call: &Call<'_>) -> Done {
    of_overview(call, OVERVIEW)
}

pub(super) fn churn(call: &Call<'_>) -> Done {
    of_overview(call, CHURN)
}

fn of_overview(call: &Call<'_>, texts: &[(&'static str, &str)]) -> Done {
    let overview = call.get("/overview")?;
    let pairs: Vec<_> =
        texts.iter().map(|(text, from)| (*text, super::cell(&overview, from))).collect();
    Ok(Some(call.pairs(&pairs)))
}
