//! The eight octets a client opens with (AMQP 0-9-1 §4.2.2). The connection
//! handshake reads them before any frame, and sends [`PROTOCOL_HEADER`] back
//! to a client that speaks something else.

/// `AMQP 0 0 9 1`: what this broker speaks.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// `AMQP 1 1 0 9`: how early 0-9 clients announce themselves.
const PROTOCOL_HEADER_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

/// Whether a client that sent `header` can be served.
///
/// RabbitMQ: besides 0-9-1 the older form of 0-9 is taken as 0-9-1.
#[must_use]
pub fn is_accepted(header: &[u8; 8]) -> bool {
    *header == PROTOCOL_HEADER || *header == PROTOCOL_HEADER_0_9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_0_9_1_and_0_9_only() {
        assert!(is_accepted(b"AMQP\x00\x00\x09\x01"));
        assert!(is_accepted(b"AMQP\x01\x01\x00\x09"));
        assert!(!is_accepted(b"AMQP\x00\x01\x00\x00"));
        assert!(!is_accepted(b"AMQP\x03\x01\x00\x00"));
        assert!(!is_accepted(b"AMQP\x01\x01\x08\x00"));
        assert!(!is_accepted(b"GET / HT"));
    }
}
