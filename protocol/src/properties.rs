//! The properties of class basic (AMQP 0-9-1 §1.8.1): the second half of a
//! content header. The broker parses them only where it must know one, and
//! passes the raw octets on otherwise.

use nom::IResult;

use crate::error::{DecodeError, Malformed};
use crate::types::RawTable;
use crate::wire::{
    be_u8, be_u16, be_u64, long_string, put_long_string, put_short_string, short_string,
};

/// One bit each, highest first in wire order.
mod flag {
    pub(super) const CONTENT_TYPE: u16 = 1 << 15;
    pub(super) const CONTENT_ENCODING: u16 = 1 << 14;
    pub(super) const HEADERS: u16 = 1 << 13;
    pub(super) const DELIVERY_MODE: u16 = 1 << 12;
    pub(super) const PRIORITY: u16 = 1 << 11;
    pub(super) const CORRELATION_ID: u16 = 1 << 10;
    pub(super) const REPLY_TO: u16 = 1 << 9;
    pub(super) const EXPIRATION: u16 = 1 << 8;
    pub(super) const MESSAGE_ID: u16 = 1 << 7;
    pub(super) const TIMESTAMP: u16 = 1 << 6;
    pub(super) const TYPE: u16 = 1 << 5;
    pub(super) const USER_ID: u16 = 1 << 4;
    pub(super) const APP_ID: u16 = 1 << 3;
    pub(super) const CLUSTER_ID: u16 = 1 << 2;
    /// One more word of flags follows.
    pub(super) const CONTINUATION: u16 = 1;
}

/// The properties of a message; those that borrow do so from the frame.
///
/// Short strings are octets: RabbitMQ does not ask for UTF-8 here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasicProperties<'a> {
    /// MIME type of the body.
    pub content_type: Option<&'a [u8]>,
    /// MIME encoding of the body.
    pub content_encoding: Option<&'a [u8]>,
    /// The application's own fields, and what headers exchanges match.
    pub headers: Option<RawTable<'a>>,
    /// 2 for persistent, anything else for transient.
    pub delivery_mode: Option<u8>,
    /// 0 to 255, higher first.
    pub priority: Option<u8>,
    /// Which request a reply answers.
    pub correlation_id: Option<&'a [u8]>,
    /// Where to send the reply.
    pub reply_to: Option<&'a [u8]>,
    /// Time to live in milliseconds, as decimal digits.
    pub expiration: Option<&'a [u8]>,
    /// The application's name for the message.
    pub message_id: Option<&'a [u8]>,
    /// Seconds since the epoch.
    pub timestamp: Option<u64>,
    /// The property `type`.
    pub message_type: Option<&'a [u8]>,
    /// Who published; the broker checks it.
    pub user_id: Option<&'a [u8]>,
    /// Which application published.
    pub app_id: Option<&'a [u8]>,
    /// Reserved by the specification, passed on.
    pub cluster_id: Option<&'a [u8]>,
    /// Whether the headers, as read, name further routing keys: a `CC` or `BCC` entry (RabbitMQ's
    /// sender-selected distribution). Written nowhere.
    pub names_more_keys: bool,
    /// Whether the headers, as read, have an entry `x-opt-delivery-time`. Written nowhere.
    pub names_delivery_time: bool,
}

impl<'a> BasicProperties<'a> {
    /// Reads flags and values, and checks the headers table.
    ///
    /// # Errors
    /// Values that end early or are left over, flags for properties that do
    /// not exist, a malformed table.
    #[inline]
    pub fn parse(raw: &'a [u8]) -> Result<Self, DecodeError> {
        if raw == [0, 0] {
            return Ok(Self::default());
        }
        parse(raw).map_err(|error| Malformed::from(error).in_properties())
    }

    /// Appends flags and values. A short string is cut at 255 octets.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.flags().to_be_bytes());
        put_optional(out, self.content_type);
        put_optional(out, self.content_encoding);
        if let Some(headers) = self.headers {
            put_long_string(out, headers.as_bytes());
        }
        out.extend(self.delivery_mode);
        out.extend(self.priority);
        put_optional(out, self.correlation_id);
        put_optional(out, self.reply_to);
        put_optional(out, self.expiration);
        put_optional(out, self.message_id);
        if let Some(timestamp) = self.timestamp {
            out.extend_from_slice(&timestamp.to_be_bytes());
        }
        put_optional(out, self.message_type);
        put_optional(out, self.user_id);
        put_optional(out, self.app_id);
        put_optional(out, self.cluster_id);
    }

    fn flags(&self) -> u16 {
        [
            (flag::CONTENT_TYPE, self.content_type.is_some()),
            (flag::CONTENT_ENCODING, self.content_encoding.is_some()),
            (flag::HEADERS, self.headers.is_some()),
            (flag::DELIVERY_MODE, self.delivery_mode.is_some()),
            (flag::PRIORITY, self.priority.is_some()),
            (flag::CORRELATION_ID, self.correlation_id.is_some()),
            (flag::REPLY_TO, self.reply_to.is_some()),
            (flag::EXPIRATION, self.expiration.is_some()),
            (flag::MESSAGE_ID, self.message_id.is_some()),
            (flag::TIMESTAMP, self.timestamp.is_some()),
            (flag::TYPE, self.message_type.is_some()),
            (flag::USER_ID, self.user_id.is_some()),
            (flag::APP_ID, self.app_id.is_some()),
            (flag::CLUSTER_ID, self.cluster_id.is_some()),
        ]
        .into_iter()
        .fold(0, |flags, (bit, present)| if present { flags | bit } else { flags })
    }
}

fn put_optional(out: &mut Vec<u8>, value: Option<&[u8]>) {
    if let Some(value) = value {
        put_short_string(out, value);
    }
}

/// Values follow all flag words, in the order of the flags.
fn parse(raw: &[u8]) -> Result<BasicProperties<'_>, nom::Err<Malformed>> {
    let (i, flags) = flag_words(raw)?;
    let (i, content_type) = optional(i, flags & flag::CONTENT_TYPE, short_string)?;
    let (i, content_encoding) = optional(i, flags & flag::CONTENT_ENCODING, short_string)?;
    let (mut names_more_keys, mut names_delivery_time) = (false, false);
    let note = |name: &[u8]| {
        names_more_keys |= name == b"CC" || name == b"BCC";
        names_delivery_time |= name == b"x-opt-delivery-time";
    };
    let (i, headers) = match flags & flag::HEADERS {
        0 => (i, None),
        _ => table(i, note).map(|(i, table)| (i, Some(table)))?,
    };
    let (i, delivery_mode) = optional(i, flags & flag::DELIVERY_MODE, be_u8)?;
    let (i, priority) = optional(i, flags & flag::PRIORITY, be_u8)?;
    let (i, correlation_id) = optional(i, flags & flag::CORRELATION_ID, short_string)?;
    let (i, reply_to) = optional(i, flags & flag::REPLY_TO, short_string)?;
    let (i, expiration) = optional(i, flags & flag::EXPIRATION, short_string)?;
    let (i, message_id) = optional(i, flags & flag::MESSAGE_ID, short_string)?;
    let (i, timestamp) = optional(i, flags & flag::TIMESTAMP, be_u64)?;
    let (i, message_type) = optional(i, flags & flag::TYPE, short_string)?;
    let (i, user_id) = optional(i, flags & flag::USER_ID, short_string)?;
    let (i, app_id) = optional(i, flags & flag::APP_ID, short_string)?;
    let (i, cluster_id) = optional(i, flags & flag::CLUSTER_ID, short_string)?;
    if !i.is_empty() {
        return Err(nom::Err::Error(Malformed::Length));
    }
    Ok(BasicProperties {
        content_type,
        content_encoding,
        headers,
        delivery_mode,
        priority,
        correlation_id,
        reply_to,
        expiration,
        message_id,
        timestamp,
        message_type,
        user_id,
        app_id,
        cluster_id,
        names_more_keys,
        names_delivery_time,
    })
}

/// The first flag word. Class basic has no property in a further one, so those
/// may only be empty.
fn flag_words(input: &[u8]) -> IResult<&[u8], u16, Malformed> {
    let (mut input, flags) = be_u16(input)?;
    let mut word = flags;
    while word & flag::CONTINUATION != 0 {
        (input, word) = be_u16(input)?;
        if word & !flag::CONTINUATION != 0 {
            return Err(nom::Err::Error(Malformed::Length));
        }
    }
    Ok((input, flags))
}

#[inline]
fn optional<'a, T>(
    input: &'a [u8],
    present: u16,
    read: impl Fn(&'a [u8]) -> IResult<&'a [u8], T, Malformed>,
) -> IResult<&'a [u8], Option<T>, Malformed> {
    if present == 0 {
        return Ok((input, None));
    }
    let (input, value) = read(input)?;
    Ok((input, Some(value)))
}

fn table<'a>(
    input: &'a [u8],
    note: impl FnMut(&'a [u8]),
) -> IResult<&'a [u8], RawTable<'a>, Malformed> {
    let (input, octets) = long_string(input)?;
    match RawTable::checked_with(octets, note) {
        Ok(table) => Ok((input, table)),
        Err(malformed) => Err(nom::Err::Error(malformed)),
    }
}
