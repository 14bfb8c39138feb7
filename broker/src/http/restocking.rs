//! `POST /api/vhosts/VHOST/messages`: messages put into queues as they were on another broker, all in one step.
//! Ours, for `leveret migrate`.
//!
//! The body is a row of messages, each
//! ```text
//! queue, exchange, routing key  short strings: u8 length | bytes
//! properties                    u32 length | flags and values (AMQP 0-9-1 §4.2.6.1)
//! body                          u32 length | bytes
//! ```
//! with lengths in network byte order. Stays true: nothing is put anywhere unless all of it can be read and every
//! queue is there.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::{Buf, Bytes};
use leveret_protocol::properties::BasicProperties;
use serde_json::json;

use super::Management;
use super::answer::{Answer, Fault, blocking, json, stored};
use super::authorization::Administrator;
use super::messages::laid_out;
use super::request::Whole;
use crate::message::{Marks, Message};
use crate::queue::Queue;
use crate::vhost::Vhost;

/// `POST /api/vhosts/VHOST/messages`.
pub(super) async fn restock(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(vhost): Path<String>,
    Whole(body): Whole,
) -> Answer {
    let vhost = management.broker.vhost(&vhost).ok_or_else(Fault::not_found)?;
    if management.broker.messages().refuses() {
        return Err(Fault::internal("the disk is full, nothing was put anywhere"));
    }
    let messages = read(&vhost, body)?;
    let (restocked, durable) = blocking(move || vhost.restock(messages)).await?;
    stored(durable).await?;
    Ok(json(&json!({"taken": restocked.taken, "refused": restocked.refused})))
}

fn read(vhost: &Arc<Vhost>, body: Bytes) -> Result<Vec<(Arc<Queue>, Message)>, Fault> {
    let (mut rest, mut messages) = (body, Vec::new());
    let mut known: HashMap<String, Arc<Queue>> = HashMap::new();
    while rest.has_remaining() {
        let number = messages.len() + 1;
        let unreadable = || Fault::bad_request(format!("message {number} cannot be read"));
        let Given { queue, exchange, routing_key, properties, body } =
            Given::cut(&mut rest).ok_or_else(unreadable)?;
        let found = match known.get(&queue) {
            Some(found) => Arc::clone(found),
            None => {
                let found = vhost.queue(&queue);
                let found =
                    found.ok_or_else(|| Fault::missing(&format!("there is no queue '{queue}'")))?;
                known.insert(queue, Arc::clone(&found));
                found
            }
        };
        let properties = BasicProperties::parse(&properties).map_err(|_| unreadable())?;
        let message = laid_out((&exchange, &routing_key), &properties, body);
        let message = message.ok_or_else(unreadable)?;
        // Another broker wrote it: what a client writes there is none.
        let is_dead = message.headers().is_some_and(|headers| headers.get("x-death").is_some());
        messages.push((found, if is_dead { message.marked(Marks::DEATHS) } else { message }));
    }
    Ok(messages)
}

/// A message as it was sent.
struct Given {
    queue: String,
    exchange: String,
    routing_key: String,
    properties: Bytes,
    body: Bytes,
}

impl Given {
    fn cut(from: &mut Bytes) -> Option<Self> {
        Some(Self {
            queue: short(from)?,
            exchange: short(from)?,
            routing_key: short(from)?,
            properties: long(from)?,
            body: long(from)?,
        })
    }
}

fn short(from: &mut Bytes) -> Option<String> {
    let length = usize::from(from.try_get_u8().ok()?);
    let bytes = (from.len() >= length).then(|| from.split_to(length))?;
    String::from_utf8(bytes.into()).ok()
}

fn long(from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32().ok()?).ok()?;
    (from.len() >= length).then(|| from.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_off_one_by_one() {
        let one = b"\x01q\x00\x02rk\0\0\0\x02\0\0\0\0\0\x05hello";
        let mut body = Bytes::from([&one[..], &one[..]].concat());
        for _ in 0..2 {
            let given = Given::cut(&mut body).unwrap();
            assert_eq!((&*given.queue, &*given.exchange, &*given.routing_key), ("q", "", "rk"));
            assert_eq!((&*given.properties, &*given.body), (&[0, 0][..], &b"hello"[..]));
        }
        assert!(body.is_empty());
        for length in 0..one.len() {
            let mut cut = Bytes::copy_from_slice(&one[..length]);
            assert!(Given::cut(&mut cut).is_none(), "cut to {length}");
        }
        let mut foreign = Bytes::from_static(b"\x01\xff\0\0\0\0\0\0\0\0\0\0");
        assert!(Given::cut(&mut foreign).is_none(), "no UTF-8");
    }
}
