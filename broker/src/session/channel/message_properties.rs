//! The properties of a published message that the broker itself reads.
//!
//! Called by `channel::publish` for every message: `check_plain` where the route is known and the
//! message cannot change it, `check` where it may. Checks and texts are
//! RabbitMQ's: expiration, CC and BCC (sender-selected distribution), user-id.

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue, RawTable};

use super::Channel;
use super::reply_to::PSEUDO_QUEUE;
use crate::error::{AmqpError, ChannelError};
use crate::queue::arguments::EXPIRY_MS_MAX;
use crate::session::context::Session;

/// The header whose keys route and which no consumer sees.
const BCC: &str = "BCC";

/// What came of the checks.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// The routing keys of CC and BCC.
    pub extra_keys: Vec<String>,
    /// Those of BCC, which come last, again: the message keeps them.
    pub hidden_keys: Vec<String>,
    /// The encoded properties without BCC, when there was one.
    pub rewritten: Option<Vec<u8>>,
}

/// Whether a message with these properties goes where its exchange and routing key lead, at once, and
/// is stored as it came.
pub(crate) fn is_plain(properties: &BasicProperties<'_>) -> bool {
    !properties.names_more_keys
        && !properties.names_delivery_time
        && properties.reply_to != Some(PSEUDO_QUEUE.as_bytes())
}

/// Checks the properties of a plain message. Allocates for errors alone.
pub(crate) fn check_plain(
    properties: &BasicProperties<'_>,
    session: &Session,
) -> Result<(), ChannelError> {
    if let Some(expiration) = properties.expiration {
        check_expiration(&String::from_utf8_lossy(expiration))?;
    }
    if let Some(user_id) = properties.user_id {
        let by = (session.user_name(), session.may_impersonate());
        check_user_id(&String::from_utf8_lossy(user_id), by)?;
    }
    Ok(())
}

/// Checks the properties of a message to be published.
pub(crate) fn check(
    properties: &BasicProperties<'_>,
    channel: &Channel,
    session: &Session,
) -> Result<Checked, AmqpError> {
    let reply_to = match properties.reply_to {
        Some(name) if name == PSEUDO_QUEUE.as_bytes() => Some(channel.reply_to()?),
        Some(_) | None => None,
    };
    check_of(properties, reply_to, (session.user_name(), session.may_impersonate()))
}

/// The same of somebody who may publish in others' names, or not, and where answers are to go instead.
pub(crate) fn check_of(
    properties: &BasicProperties<'_>,
    reply_to: Option<&str>,
    by: (&str, bool),
) -> Result<Checked, AmqpError> {
    if let Some(expiration) = properties.expiration {
        check_expiration(&String::from_utf8_lossy(expiration))?;
    }
    let mut extra_keys = header_keys("CC", properties.headers)?;
    let hidden_keys = header_keys(BCC, properties.headers)?;
    extra_keys.extend_from_slice(&hidden_keys);
    if let Some(user_id) = properties.user_id {
        check_user_id(&String::from_utf8_lossy(user_id), by)?;
    }
    let rewritten = rewritten(properties, reply_to)?;
    Ok(Checked { extra_keys, hidden_keys, rewritten })
}

fn check_expiration(text: &str) -> Result<(), ChannelError> {
    let Err(reason) = parse_expiration(text) else { return Ok(()) };
    Err(ChannelError::Precondition(format!("invalid expiration '{text}': {reason}")))
}

/// A time in milliseconds from decimal digits; the error is in RabbitMQ's words.
fn parse_expiration(text: &str) -> Result<i64, String> {
    let signed = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = signed.len() - signed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits == 0 {
        return Err("no_integer".to_owned());
    }
    let (number, rest) = text.split_at(text.len() - signed.len() + digits);
    if !rest.is_empty() {
        return Err(format!("{{leftover_string,\"{rest}\"}}"));
    }
    let value: i64 = number.parse().unwrap_or(i64::MAX);
    match value {
        value if value > EXPIRY_MS_MAX => Err(format!("{{value_too_large,{number}}}")),
        value if value < 0 => Err(format!("{{value_negative,{value}}}")),
        value => Ok(value),
    }
}

/// The routing keys in one of the headers CC and BCC.
fn header_keys(
    name: &'static str,
    headers: Option<RawTable<'_>>,
) -> Result<Vec<String>, ChannelError> {
    let Some(value) = headers.and_then(|headers| headers.get(name)) else { return Ok(Vec::new()) };
    let FieldValue::Array(keys) = &value else { return Err(unacceptable(name, &value)) };
    // What is no text in the list does not route, and is no error.
    Ok(keys.iter().filter_map(FieldValue::as_str).map(str::to_owned).collect())
}

fn unacceptable(header: &str, value: &FieldValue) -> ChannelError {
    ChannelError::Precondition(format!(
        "invalid message: {{unacceptable_type_in_header,\"{header}\",{}}}",
        value.type_name()
    ))
}

/// The encoded properties without BCC and with another `reply_to`, when either applies.
fn rewritten(
    properties: &BasicProperties<'_>,
    reply_to: Option<&str>,
) -> Result<Option<Vec<u8>>, AmqpError> {
    let has_bcc = properties.headers.is_some_and(|headers| headers.find(BCC).is_some());
    if !has_bcc && reply_to.is_none() {
        return Ok(None);
    }
    let mut rewritten = properties.clone();
    let mut entries = Vec::new();
    if let Some(headers) = properties.headers {
        let mut table: FieldTable = headers.parse()?;
        table.remove(BCC);
        table.encode_entries(&mut entries);
        rewritten.headers = Some(RawTable::new(&entries));
    }
    if let Some(reply_to) = reply_to {
        rewritten.reply_to = Some(reply_to.as_bytes());
    }
    let mut out = Vec::new();
    rewritten.encode(&mut out);
    Ok(Some(out))
}

fn check_user_id(user_id: &str, (user, impersonates): (&str, bool)) -> Result<(), ChannelError> {
    if user_id == user || impersonates {
        return Ok(());
    }
    Err(ChannelError::Precondition(format!(
        "user_id property set to '{user_id}' but authenticated user was '{user}'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expirations_are_decimal_milliseconds() {
        assert_eq!(parse_expiration("0"), Ok(0));
        assert_eq!(parse_expiration("315360000000"), Ok(EXPIRY_MS_MAX));
        let rows = [
            ("abc", "no_integer"),
            ("", "no_integer"),
            ("10ms", "{leftover_string,\"ms\"}"),
            ("-1", "{value_negative,-1}"),
            ("315360000001", "{value_too_large,315360000001}"),
        ];
        for (text, reason) in rows {
            assert_eq!(parse_expiration(text), Err(reason.to_owned()), "{text}");
        }
    }
}
