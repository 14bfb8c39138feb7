//! What goes over at once: messages as `POST /api/vhosts/VHOST/messages` takes them (`http::restocking`), cut so
//! that each request is bounded.
//!
//! A room of `migrate`; pure.

use leveret_bench::taking::Taken;

/// Messages of a step, and bytes of their bodies unless it is a single one.
pub(super) const STEP: usize = 500;
pub(super) const STEP_BYTES: usize = 8 << 20;

/// The first of these that go over in one step: at least one.
pub(super) fn step(messages: &[Taken]) -> &[Taken] {
    let mut bytes = 0;
    let fits = |message: &&Taken| {
        bytes += message.body.len() + message.properties.len();
        bytes <= STEP_BYTES
    };
    let count = messages.iter().take(STEP).take_while(fits).count().max(1);
    messages.get(..count).unwrap_or(messages)
}

/// Appends a message for a queue. False for what AMQP does not have.
pub(super) fn add(out: &mut Vec<u8>, queue: &str, message: &Taken) -> bool {
    let short = |out: &mut Vec<u8>, text: &str| match u8::try_from(text.len()) {
        Ok(length) => {
            out.push(length);
            out.extend_from_slice(text.as_bytes());
            true
        }
        Err(_) => false,
    };
    let long = |out: &mut Vec<u8>, bytes: &[u8]| match u32::try_from(bytes.len()) {
        Ok(length) => {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(bytes);
            true
        }
        Err(_) => false,
    };
    short(out, queue)
        && short(out, &message.exchange)
        && short(out, &message.routing_key)
        && long(out, &message.properties)
        && long(out, &message.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: usize) -> Taken {
        Taken {
            delivery_tag: 1,
            redelivered: false,
            exchange: "x".to_owned(),
            routing_key: "k".to_owned(),
            properties: vec![0, 0],
            body: vec![b'a'; body],
        }
    }

    #[test]
    fn steps_are_bounded_in_number_and_bytes() {
        assert_eq!(step(&vec![message(1); 501]).len(), STEP);
        assert_eq!(step(&vec![message(STEP_BYTES / 2); 5]).len(), 1, "two have properties, too");
        assert_eq!(step(&[message(STEP_BYTES * 2), message(1)]).len(), 1);
        assert_eq!(step(&[]).len(), 0);
    }

    #[test]
    fn a_message_is_laid_out() {
        let mut out = Vec::new();
        assert!(add(&mut out, "q", &message(2)));
        assert_eq!(out, b"\x01q\x01x\x01k\0\0\0\x02\0\0\0\0\0\x02aa");
        assert!(!add(&mut Vec::new(), &"q".repeat(256), &message(2)));
    }
}
