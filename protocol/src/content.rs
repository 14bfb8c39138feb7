//! The content header frame (AMQP 0-9-1 §4.2.6.1): what comes between a
//! method that carries content and the body. Properties stay raw here; most
//! messages pass through without anyone reading them.

use crate::constants::BODY_SIZE_MAX;
use crate::error::{DecodeError, Malformed, Snippet};
use crate::wire::{be_u16, be_u64};

/// A content header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// The class of the method before it; 60 for all there are.
    pub class_id: u16,
    /// Unused, zero.
    pub weight: u16,
    /// Octets of body that follow in body frames.
    pub body_size: u64,
    /// Flag words and values, as
    /// [`BasicProperties::parse`](crate::properties::BasicProperties::parse) takes them.
    pub properties: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Reads the payload of a content header frame; the properties are not
    /// looked at.
    ///
    /// # Errors
    /// The payload is shorter than the three fixed fields.
    #[inline]
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        parse(payload)
            .map(|(_, header)| header)
            .map_err(|_| DecodeError::ShortContentHeader { payload: Snippet::new(payload) })
    }

    /// Checks that this header may follow a method of class `class_id`.
    ///
    /// # Errors
    /// Another class, a weight that is not zero, or a body announced that is
    /// larger than [`BODY_SIZE_MAX`].
    #[inline]
    pub fn expect_class(&self, class_id: u16) -> Result<(), DecodeError> {
        if self.weight != 0 {
            Err(DecodeError::ContentHeaderWeight { expected: class_id })
        } else if self.class_id != class_id {
            Err(DecodeError::ContentHeaderClass { expected: class_id, received: self.class_id })
        } else if self.body_size > BODY_SIZE_MAX {
            Err(DecodeError::ContentTooLarge { size: self.body_size })
        } else {
            Ok(())
        }
    }
}

#[inline]
fn parse(input: &[u8]) -> nom::IResult<&[u8], ContentHeader<'_>, Malformed> {
    let (input, class_id) = be_u16(input)?;
    let (input, weight) = be_u16(input)?;
    let (properties, body_size) = be_u64(input)?;
    Ok((&[], ContentHeader { class_id, weight, body_size, properties }))
}

#[cfg(test)]
mod tests;
