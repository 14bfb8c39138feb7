//! The x-arguments of queue.declare that are refused, and those of basic.consume.

use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Value};

use crate::row::{Expectation, Row, channel_close};
use crate::scene::Scene;

/// One argument that is refused, and what is said of it.
macro_rules! refused {
    ($name:literal, $($argument:literal = $value:expr),+ => $complaint:literal) => {
        Row::new("29", $name, |scene: &mut Scene| {
            let name = scene.q();
            let declare = queue::declare(&name).with(Flag::Durable);
            scene.client.send(declare$(.arg($argument, $value))+);
        })
        .expects(refusal($complaint))
    };
}

const fn refusal(text: &'static str) -> Expectation {
    channel_close(406, text, queue::DECLARE)
}

pub(crate) const ROWS: &[Row] = &[
    refused!("a negative TTL", "x-message-ttl" = -1 =>
        "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '{q}' in vhost '/': \
         {value_negative,-1}"),
    refused!("a TTL that is a text", "x-message-ttl" = "1000" =>
        "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '{q}' in vhost '/': \
         \"expected integer, got longstr\""),
    refused!("a TTL of more than ten years", "x-message-ttl" = Value::Long(315_360_000_001) =>
        "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '{q}' in vhost '/': \
         {value_too_large,315360000001}"),
    refused!("a TTL that is a boolean", "x-message-ttl" = true =>
        "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '{q}' in vhost '/': \
         \"expected integer, got bool\""),
    refused!("an expiry of zero", "x-expires" = 0 =>
        "PRECONDITION_FAILED - invalid arg 'x-expires' for queue '{q}' in vhost '/': \
         {value_zero,0}"),
    refused!("a negative expiry", "x-expires" = -5 =>
        "PRECONDITION_FAILED - invalid arg 'x-expires' for queue '{q}' in vhost '/': \
         {value_negative,-5}"),
    refused!("a negative maximum length", "x-max-length" = Value::Long(-2) =>
        "PRECONDITION_FAILED - invalid arg 'x-max-length' for queue '{q}' in vhost '/': \
         {value_negative,-2}"),
    refused!("a maximum length in bytes that is a fraction", "x-max-length-bytes" = Value::Double(1.5) =>
        "PRECONDITION_FAILED - invalid arg 'x-max-length-bytes' for queue '{q}' in vhost '/': \
         \"expected integer, got double\""),
    refused!("a maximum priority above 255", "x-max-priority" = 256 =>
        "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue '{q}' in vhost '/': \
         {max_value_exceeded,256}"),
    refused!("a negative maximum priority", "x-max-priority" = -1 =>
        "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue '{q}' in vhost '/': \
         {value_negative,-1}"),
    refused!("an unknown overflow", "x-overflow" = "spill" =>
        "PRECONDITION_FAILED - invalid arg 'x-overflow' for queue '{q}' in vhost '/': \
         invalid_overflow"),
    refused!("an overflow that is a number", "x-overflow" = 1 =>
        "PRECONDITION_FAILED - invalid arg 'x-overflow' for queue '{q}' in vhost '/': \
         {unacceptable_type,signedint}"),
    refused!("a dead-letter exchange that is a number", "x-dead-letter-exchange" = 1 =>
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue \
         '{q}' in vhost '/'"),
    refused!("a dead-letter key without an exchange", "x-dead-letter-routing-key" = "k" =>
        "PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue '{q}' in vhost \
         '/': routing_key_but_no_dlx_defined"),
    refused!("an unknown dead-letter strategy",
        "x-queue-type" = "quorum", "x-dead-letter-strategy" = "often" =>
        "PRECONDITION_FAILED - invalid arg 'x-dead-letter-strategy' for queue '{q}' in vhost '/': \
         invalid_dlx_strategy"),
    refused!("a single active consumer that is a text", "x-single-active-consumer" = "yes" =>
        "PRECONDITION_FAILED - invalid arg 'x-single-active-consumer' for queue '{q}' in vhost \
         '/': {unacceptable_type,longstr}"),
    refused!("an unknown queue type", "x-queue-type" = "nonsense" =>
        "PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '{q}' in vhost '/': \
         \"unsupported queue type 'nonsense'\""),
    refused!("a queue type that is a number", "x-queue-type" = 1 =>
        "PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '{q}' in vhost '/': \
         {unacceptable_type,signedint}"),
    Row::new("29", "every argument at its limits", |scene| {
        let name = scene.q();
        let declare = queue::declare(&name)
            .with(Flag::Durable)
            .arg("x-message-ttl", 0)
            .arg("x-expires", Value::Long(315_360_000_000))
            .arg("x-max-length", 0)
            .arg("x-max-length-bytes", 0)
            .arg("x-max-priority", 255)
            .arg("x-overflow", "reject-publish")
            .arg("x-dead-letter-exchange", "")
            .arg("x-dead-letter-routing-key", "");
        scene.client.call(declare);
    }),
    Row::new("29 69", "a consumer priority that is a text", |scene| {
        let name = scene.queue();
        scene.client.send(basic::consume(&name, "").arg("x-priority", "high"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{q}' in vhost '/': \"expected \
         integer, got longstr\"",
        basic::CONSUME,
    ),
    Row::new("69", "a consumer priority may be negative", |scene| {
        let name = scene.queue();
        scene.client.call(basic::consume(&name, "").arg("x-priority", -10));
    }),
];
