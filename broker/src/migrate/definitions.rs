//! What there is: vhosts, users, queues and all else, as definitions.
//!
//! A room of `migrate`. Ours imports what the other exports; what our broker would still change afterwards is
//! what it does not have.

use serde_json::Value;

use super::{Brokers, tell, text};
use crate::ctl::client::{Sent, segment};
use crate::ctl::failure::Failed;

/// Brings them over, or says what that would change. Whether nothing differs afterwards.
///
/// # Errors
/// One of the brokers does not answer, or says no.
pub(super) fn bring_over(
    brokers: &Brokers,
    vhosts: &[String],
    dry_run: bool,
) -> Result<bool, Failed> {
    if vhosts.is_empty() {
        return of(brokers, None, dry_run);
    }
    let mut is_same = true;
    for vhost in vhosts {
        if !dry_run {
            brokers.target.send("PUT", &format!("/vhosts/{}", segment(vhost)), None)?;
        }
        is_same &= of(brokers, Some(vhost), dry_run)?;
    }
    Ok(is_same)
}

fn of(brokers: &Brokers, vhost: Option<&str>, dry_run: bool) -> Result<bool, Failed> {
    let of_vhost = vhost.map_or(String::new(), |vhost| format!("/{}", segment(vhost)));
    let exported = brokers.source.get(&format!("/definitions{of_vhost}"))?;
    let shown = vhost.map_or_else(|| "definitions".to_owned(), |vhost| format!("vhost '{vhost}'"));
    let path = format!("/operation/definitions{of_vhost}");
    if dry_run {
        let asked = asked(brokers, &format!("{path}?dry_run=true"), &exported)?;
        tell(&format!("{shown}: would change\n{}", text(&asked, "text").trim_end()));
        return Ok(true);
    }
    let done = asked(brokers, &path, &exported)?;
    tell(&format!("{shown}: imported\n{}", text(&done, "text").trim_end()));
    for note in done.get("notes").and_then(Value::as_array).into_iter().flatten() {
        tell(&format!("  note: {}", note.as_str().unwrap_or_default()));
    }
    let left = asked(brokers, &format!("{path}?dry_run=true"), &exported)?;
    let is_same = left.get("difference").is_none_or(is_empty);
    if !is_same {
        tell(&format!("{shown}: differs still\n{}", text(&left, "text").trim_end()));
    }
    Ok(is_same)
}

fn asked(brokers: &Brokers, path: &str, definitions: &Value) -> Result<Value, Failed> {
    match brokers.target.send("POST", path, Some(definitions))? {
        Sent::Done(response) => serde_json::from_slice(&response.body)
            .map_err(|error| Failed::refused(format!("no JSON: {error}"))),
        Sent::Missing(reason) => Err(Failed::refused(reason)),
    }
}

/// Whether a difference has no entry, in whatever lists it has.
fn is_empty(difference: &Value) -> bool {
    match difference {
        Value::Array(entries) => entries.is_empty(),
        Value::Object(parts) => parts.values().all(is_empty),
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}
