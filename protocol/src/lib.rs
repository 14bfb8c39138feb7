//! The AMQP 0-9-1 wire protocol: bytes to frames, methods, properties and
//! tables, and back. It knows nothing of sockets, runtimes or brokers.
//!
//! A connection opens with eight octets from the client, then speaks frames:
//!
//! ```text
//! protocol header   'A' 'M' 'Q' 'P'  0  0  9  1
//!
//! frame             +------+---------+--------+-----------------+------+
//!                   | type | channel |  size  |     payload     | 0xCE |
//!                   |  u8  |   u16   |  u32   |   size octets   |  u8  |
//!                   +------+---------+--------+-----------------+------+
//!
//! 1 method          | class u16 | method u16 | arguments ...
//! 2 content header  | class u16 | weight u16 (0) | body size u64 | properties |
//! 3 content body    | up to frame_max - 8 octets of the body
//! 8 heartbeat       (empty, channel 0)
//!
//! properties        | flags u16 (bit 0: one more flag word follows) | values in flag order
//! arguments         octet u8, short u16, long u32, longlong and timestamp u64,
//!                   shortstr u8 + octets, longstr u32 + octets, table,
//!                   bits: up to eight neighbours share an octet, lowest first
//! table             | size u32 | { name shortstr, tag u8, value }* |
//! ```
//!
//! All integers are big-endian. Reading borrows from the input and allocates
//! only for errors and for tables that somebody asks for; writing appends to a
//! caller's buffer. Nothing here panics on any input.
//!
//! The modules follow a frame's way in, then a reply's way out. What RabbitMQ
//! was seen to do, and where this crate differs, is in `errata.md`.

pub mod constants;
pub mod protocol_header;

pub mod decoder;
pub mod frame;

pub mod arguments;
mod method_frame;
pub mod methods;
pub mod types;
mod wire;

pub mod content;
pub mod properties;

pub mod error;
pub mod reply_code;

pub mod encoder;
