//! Frames that are too large, misplaced, or not frames at all.

use std::time::Duration;

use leveret_tests::raw_client::content::{
    FRAME_BODY, FRAME_HEARTBEAT, FRAME_METHOD, Properties, content_header, content_header_of, frame,
};
use leveret_tests::raw_client::method::{Method, basic, channel, connection};
use leveret_tests::raw_client::wire::ArgumentWriter;
use leveret_tests::raw_client::{Handshake, Message};

use crate::row::{Expectation, Row};
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("12", "a frame far above frame_max is refused from its first seven bytes", |scene| {
        small_frames(scene);
        let start = ArgumentWriter::default().octet(1).short(1).long(20_000).into_bytes();
        scene.client.send_bytes(&start);
    })
    .closes_connection(
        501,
        "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,20000,8184}",
        (0, 0),
    ),
    Row::new("12", "a body frame above frame_max is refused", |scene| {
        small_frames(scene);
        let queue = scene.queue();
        let mut frames = basic::publish("", &queue).frame();
        frames.extend(content_header(1, 9000, &Properties::default()));
        frames.extend(frame(FRAME_BODY, 1, &[0; 9000]));
        scene.client.try_send_bytes(&frames);
    })
    .closes_connection(
        501,
        "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,9000,8184}",
        (0, 0),
    ),
    Row::new("12", "no frame of the broker is larger than frame_max", |scene| {
        small_frames(scene);
        let queue = scene.queue();
        let body = vec![7; 50_000];
        scene.client.publish(&Message::to_queue(&queue).body(&body));
        assert_eq!(scene.client.get(&queue).content.body, body);
        assert_eq!(scene.client.largest_frame(), 8192);
    }),
    Row::new("12", "a wrong end octet", |scene| {
        let mut bytes = channel::open(2).frame();
        bytes.pop();
        bytes.push(0xCD);
        scene.client.send_bytes(&bytes);
    })
    .closes_connection(
        501,
        "FRAME_ERROR - type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,205}",
        (0, 0),
    ),
    Row::new("12", "of a long frame with a wrong end octet sixteen bytes are told", |scene| {
        let mut bytes = frame(FRAME_METHOD, 1, b"0123456789abcdefghij");
        bytes.pop();
        bytes.push(0);
        scene.client.send_bytes(&bytes);
    })
    .closes_connection(
        501,
        "FRAME_ERROR - type 1, first 16 octets = <<\"0123456789abcdef\">>: \
         {invalid_frame_end_marker,0}",
        (0, 0),
    ),
    Row::new("12", "an unknown frame type", |scene| {
        scene.client.send_bytes(&frame(7, 1, b"\x01"));
    })
    .closes_connection(501, "FRAME_ERROR - type 7, all octets = <<1>>: unknown_frame", (0, 0)),
    Row::new("14", "a content header where a method is expected", |scene| {
        scene.client.send_bytes(&content_header(1, 0, &Properties::default()));
    })
    .closes_connection(505, EXPECTED_METHOD, (0, 0)),
    Row::new("14", "a body where a method is expected", |scene| {
        scene.client.send_bytes(&frame(FRAME_BODY, 1, b"body"));
    })
    .closes_connection(505, EXPECTED_METHOD, (0, 0)),
    Row::new("14", "a method where a content header is expected", |scene| {
        scene.client.send(basic::publish("", "nowhere"));
        scene.client.send(basic::qos(1));
    })
    .closes_connection(
        505,
        "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame \
         instead",
        basic::PUBLISH,
    ),
    Row::new("14", "a body where a content header is expected", |scene| {
        scene.client.send(basic::publish("", "nowhere"));
        scene.client.send_bytes(&frame(FRAME_BODY, 1, b"body"));
    })
    .closes_connection(
        505,
        "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame \
         instead",
        basic::PUBLISH,
    ),
    Row::new("14", "a content header of another class", |scene| {
        scene.client.send(basic::publish("", "nowhere"));
        let header = content_header_of(50, 0, 1, 0, &Properties::default());
        scene.client.send_bytes(&header);
    })
    .closes_connection(
        505,
        "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead",
        basic::PUBLISH,
    ),
    Row::new("14", "a content header with a weight", |scene| {
        scene.client.send(basic::publish("", "nowhere"));
        let header = content_header_of(60, 1, 1, 0, &Properties::default());
        scene.client.send_bytes(&header);
    })
    .closes_connection(
        505,
        "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame \
         instead",
        basic::PUBLISH,
    ),
    Row::new("14", "a method where a body is expected", |scene| {
        scene.client.send(basic::publish("", "nowhere"));
        scene.client.send_bytes(&content_header(1, 4, &Properties::default()));
        scene.client.send(basic::qos(1));
    })
    .closes_connection(
        505,
        "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
        basic::PUBLISH,
    ),
    Row::new("14", "a body longer than its header says", |scene| {
        scene.client.send(basic::publish("", "nowhere"));
        scene.client.send_bytes(&content_header(1, 2, &Properties::default()));
        scene.client.send_bytes(&frame(FRAME_BODY, 1, b"long"));
    })
    .closes_connection(
        501,
        "FRAME_ERROR - content body frame exceeds remaining content size",
        basic::PUBLISH,
    )
    .on_3_10(Expectation::Holds, "3.10 loses count and waits for more, 4.x refuses the excess"),
    Row::new("14", "channels may interleave their contents", |scene| {
        let queue = scene.queue();
        scene.client.open_channel(2);
        let mut bytes = Vec::new();
        for channel in [1, 2] {
            bytes.extend(basic::publish("", &queue).on(channel).frame());
            bytes.extend(content_header(channel, 4, &Properties::default()));
        }
        for (channel, half) in [(1, b"on"), (2, b"tw"), (1, b"e1"), (2, b"o2")] {
            bytes.extend(frame(FRAME_BODY, channel, half));
        }
        scene.client.send_bytes(&bytes);
        scene.client.queue_state_on(2, &queue);
        let mut bodies = scene.client.drain(&queue);
        bodies.sort();
        assert_eq!(bodies, ["one1", "two2"]);
    }),
    Row::new("15", "an unknown method", |scene| {
        scene.client.send(Method::new((60, 199), ArgumentWriter::default()));
    })
    .expects(Expectation::ConnectionCode { code: 541 })
    .on_3_10(SILENT, PARSER),
    Row::new("15", "an unknown class", |scene| {
        scene.client.send(Method::new((99, 10), ArgumentWriter::default()));
    })
    .expects(Expectation::ConnectionCode { code: 541 })
    .on_3_10(SILENT, PARSER),
    Row::new("15", "a method whose arguments end too soon", |scene| {
        scene.client.send(Method::new(basic::GET, ArgumentWriter::default().short(0)));
    })
    .closes_connection(501, "FRAME_ERROR - cannot decode <<0,0>>", basic::GET),
    Row::new("15", "a body of more than 512 MiB is refused from its header", |scene| {
        scene.client.send(basic::publish("", "nowhere"));
        let header = content_header(1, 512 * 1024 * 1024 + 1, &Properties::default());
        scene.client.send_bytes(&header);
    })
    .closes_connection(
        501,
        "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912",
        basic::PUBLISH,
    )
    .on_3_10(Expectation::Holds, "3.10 waits for such a body, 4.x refuses it"),
    Row::new("9", "a heartbeat on another channel than 0", |scene| {
        scene.client.send_bytes(&frame(FRAME_HEARTBEAT, 1, b""));
    })
    .closes_connection(505, "UNEXPECTED_FRAME - type 8, all octets = <<>>", (0, 0)),
    Row::new("9", "a heartbeat may come on channel 0 at any time", |scene| {
        scene.client.send_bytes(&frame(FRAME_HEARTBEAT, 0, b""));
        scene.client.expect_nothing_on(1);
    }),
    Row::new("11", "a method of a channel on channel 0", |scene| {
        scene.client.send(basic::qos(1).on(0));
    })
    .closes_connection(
        504,
        "CHANNEL_ERROR - unexpected method in connection state running",
        basic::QOS,
    ),
    Row::new("11", "a method of the connection out of order", |scene| {
        scene.client.send(connection::open("/"));
    })
    .closes_connection(
        504,
        "CHANNEL_ERROR - unexpected method in connection state running",
        connection::OPEN,
    ),
    Row::new("11", "a method of the connection on a channel", |scene| {
        scene.client.send(connection::open("/").on(1));
    })
    .closes_connection(503, "COMMAND_INVALID - unimplemented method", connection::OPEN),
    Row::new("11", "content on channel 0", |scene| {
        scene.client.send_bytes(&content_header(0, 0, &Properties::default()));
    })
    .closes_connection(
        505,
        "UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>>",
        (0, 0),
    ),
];

const SILENT: Expectation = Expectation::Drop { within: Duration::from_secs(6) };
const PARSER: &str = "RabbitMQ's reader dies of a method it does not know, and says nothing";
const EXPECTED_METHOD: &str =
    "UNEXPECTED_FRAME - expected method frame, got non method frame instead";

/// Reconnects with frames of 8192 bytes.
fn small_frames(scene: &mut Scene) {
    let handshake = Handshake { frame_max: Some(8192), ..scene.broker.handshake() };
    scene.client = scene.broker.connect_as(&handshake);
}
