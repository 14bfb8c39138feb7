//! What commands that are one request send.
//!
//! A room of `ctl`, called by `table`.

use serde_json::{Map, Value, json};

use super::commands::Call;
use super::failure::{Failed, UNAVAILABLE};

type Made = Result<Value, Failed>;

/// A text that is to be JSON.
pub(super) fn parsed(text: &str) -> Made {
    serde_json::from_str(text).map_err(|_| {
        let text = format!(
            "Could not parse JSON document: {{error,{{failed_to_decode_json,<<\"{text}\">>}}}}"
        );
        Failed::Refused(text, UNAVAILABLE)
    })
}

/// A vhost as its options say; of one that is there, what they do not say becomes nothing.
pub(super) fn vhost(call: &Call<'_>) -> Made {
    let options = [
        ("description", "description"),
        ("tags", "tags"),
        ("default-queue-type", "default_queue_type"),
    ];
    let given = options.into_iter().filter_map(|(option, member)| {
        Some((member.to_owned(), Value::from(call.line.value(option)?)))
    });
    Ok(Value::Object(given.collect::<Map<_, _>>()))
}

/// A policy or an operator policy.
pub(super) fn policy(call: &Call<'_>) -> Made {
    let priority = call.line.value("priority").unwrap_or("0");
    let priority = priority.parse::<i64>().map_or_else(|_| priority.into(), Value::from);
    Ok(json!({
        "pattern": call.word(1),
        "definition": parsed(call.word(2))?,
        "apply-to": call.line.value("apply-to").unwrap_or("all"),
        "priority": priority,
    }))
}

/// A parameter of a vhost.
pub(super) fn parameter(call: &Call<'_>) -> Made {
    let value = parsed(call.word(2))?;
    Ok(
        json!({"component": call.word(0), "vhost": call.vhost(), "name": call.word(1), "value": value}),
    )
}

/// A parameter of the whole broker.
pub(super) fn global_parameter(call: &Call<'_>) -> Made {
    Ok(json!({"name": call.word(0), "value": parsed(call.word(1))?}))
}

/// The name of the cluster.
pub(super) fn cluster_name(call: &Call<'_>) -> Made {
    Ok(json!({"name": call.word(0)}))
}

/// What routing keys of an exchange a user may use.
pub(super) fn topic_permissions(call: &Call<'_>) -> Made {
    Ok(json!({"exchange": call.word(1), "write": call.word(2), "read": call.word(3)}))
}
