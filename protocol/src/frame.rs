//! A frame as it lies in the read buffer (AMQP 0-9-1 §4.2.3). Made by the
//! decoder; the payload borrows from the input, so a frame is free to copy.

use crate::constants::{FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD, FRAME_OVERHEAD};

/// The four types of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A method: [`Method::decode`](crate::methods::Method::decode) reads it.
    Method,
    /// A content header: [`ContentHeader::decode`](crate::content::ContentHeader::decode) reads it.
    Header,
    /// A piece of content body: the payload is the piece.
    Body,
    /// A heartbeat: no payload.
    Heartbeat,
}

impl FrameKind {
    /// The kind that type octet `octet` stands for.
    #[must_use]
    #[inline]
    pub fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            FRAME_METHOD => Some(Self::Method),
            FRAME_HEADER => Some(Self::Header),
            FRAME_BODY => Some(Self::Body),
            FRAME_HEARTBEAT => Some(Self::Heartbeat),
            _ => None,
        }
    }

    /// The type octet of this kind.
    #[must_use]
    #[inline]
    pub fn octet(self) -> u8 {
        match self {
            Self::Method => FRAME_METHOD,
            Self::Header => FRAME_HEADER,
            Self::Body => FRAME_BODY,
            Self::Heartbeat => FRAME_HEARTBEAT,
        }
    }
}

/// One whole frame, its end octet already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is.
    pub kind: FrameKind,
    /// The channel it belongs to; 0 is the connection itself.
    pub channel: u16,
    /// The octets between header and end octet.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Octets this frame takes on the wire, header and end octet included.
    #[must_use]
    #[inline]
    pub fn encoded_len(&self) -> usize {
        self.payload.len() + FRAME_OVERHEAD
    }
}
