//! Heartbeats, with an interval of one second.

use std::time::Duration;

use leveret_tests::deadline::PATIENCE;
use leveret_tests::raw_client::Handshake;
use leveret_tests::raw_client::content::{FRAME_HEARTBEAT, frame};

use crate::row::Row;
use crate::scene::Scene;

const HALF_AN_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) const ROWS: &[Row] = &[
    Row::new("9", "the broker beats at least once an interval", |scene| {
        beating(scene);
        for _ in 0..6 {
            scene.client.send_bytes(&frame(FRAME_HEARTBEAT, 0, b""));
            scene.client.expect_silence(HALF_AN_INTERVAL);
        }
        let beats = scene.client.heartbeats();
        assert!((2..=12).contains(&beats), "{beats} heartbeats in three seconds");
    }),
    Row::new("9", "a silent client is dropped after two to three intervals", |scene| {
        beating(scene);
        scene.client.expect_silence(3 * HALF_AN_INTERVAL);
    })
    .drops_within(3),
    Row::new("9", "any frame is a sign of life", |scene| {
        beating(scene);
        for _ in 0..8 {
            scene.client.expect_nothing_on(1);
            scene.client.expect_silence(HALF_AN_INTERVAL);
        }
    }),
    Row::new("9", "half a frame is a sign of life", |scene| {
        beating(scene);
        let beat = frame(FRAME_HEARTBEAT, 0, b"");
        for byte in &beat {
            scene.client.send_bytes(&[*byte]);
            scene.client.expect_silence(HALF_AN_INTERVAL);
        }
        scene.client.expect_nothing_on(1);
    }),
    Row::new("9", "the client's zero turns heartbeats off", |scene| {
        scene.client.expect_silence(Duration::from_secs(4));
        assert_eq!(scene.client.heartbeats(), 0);
        scene.client.expect_nothing_on(1);
    }),
    Row::new("9", "what a dropped client held goes back to its queue", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["held"]);
        let handshake = Handshake { heartbeat: 1, ..scene.broker.handshake() };
        let mut silent = scene.broker.connect_as(&handshake);
        silent.get(&name);
        silent.expect_socket_closed(PATIENCE);
        scene.client.expect_count(&name, 1);
    }),
];

/// Reconnects with an interval of one second.
fn beating(scene: &mut Scene) {
    let handshake = Handshake { heartbeat: 1, ..scene.broker.handshake() };
    scene.client = scene.broker.connect_as(&handshake);
}
