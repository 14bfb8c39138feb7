//! The numbers of the wire format (AMQP 0-9-1 §4.2.3, §4.2.6). Used by the
//! decoder and encoder here and by the broker's tuning of connections.

/// Frame type of a method.
pub const FRAME_METHOD: u8 = 1;
/// Frame type of a content header.
pub const FRAME_HEADER: u8 = 2;
/// Frame type of a piece of content body.
pub const FRAME_BODY: u8 = 3;
/// Frame type of a heartbeat.
pub const FRAME_HEARTBEAT: u8 = 8;

/// The octet that ends every frame.
pub const FRAME_END: u8 = 0xCE;

/// The smallest `frame_max` a peer may ask for, in octets of whole frame.
///
/// This is the specification's number; RabbitMQ 4.1 and later ask for 8192.
pub const FRAME_MIN_SIZE: u32 = 4096;

/// Octets of a frame that are not payload: header and end octet.
pub const FRAME_OVERHEAD: usize = 8;

/// Octets before the payload: type, channel, size.
pub const FRAME_HEADER_SIZE: usize = 7;

/// Octets by which a received payload may exceed its limit.
///
/// RabbitMQ lets clients be off by the frame overhead, and some are.
pub const FRAME_SIZE_TOLERANCE: u32 = 8;

/// The port IANA gave to AMQP.
pub const DEFAULT_PORT: u16 = 5672;

/// Octets a reply text may have: it is a short string.
pub const REPLY_TEXT_MAX: usize = 255;

/// Octets a short string may have.
pub const SHORT_STRING_MAX: usize = 255;

/// Octets a content header may announce as body; RabbitMQ's hard limit.
pub const BODY_SIZE_MAX: u64 = 512 * 1024 * 1024;
