//! SIGKILL at random moments under load, and now and then SIGTERM.
//!
//! `LEVERET_CRASH_RUNS` sets how many lives each store has, `LEVERET_CRASH_SEED` repeats a run as
//! far as a run with many processes can be repeated.

use std::time::Duration;

use leveret_tests::broker_under_test::{BrokerUnderTest, run_leveret};
use rand::Rng;

use crate::campaign::{Campaign, lives, seeded};
use crate::record::Ending;

const TO_TERMINATE: Duration = Duration::from_secs(30);

fn kill_again_and_again(store: &str, lives: usize) {
    let mut random = seeded(store);
    let orderly: Vec<bool> = (0..lives).map(|_| random.random_ratio(1, 6)).collect();
    let config = format!("message_store = {store}\n");
    let mut campaign = Campaign::new(BrokerUnderTest::stopped(&config, None), random);
    for (life, orderly) in orderly.into_iter().enumerate() {
        println!("{store}: life {life}, {}", if orderly { "ended" } else { "killed" });
        if orderly {
            campaign.live(Ending::Terminate, |broker| {
                assert!(broker.terminate(TO_TERMINATE).success());
            });
        } else {
            campaign.live(Ending::Kill, BrokerUnderTest::kill);
        }
        campaign.broker().assert_no_panic();
        let directory = campaign.broker().data_directory();
        let verified = run_leveret(&["verify".as_ref(), directory.as_os_str()]);
        assert!(verified.status.success(), "after life {life}: {verified:?}");
    }
    campaign.finish();
}

#[test]
fn nothing_confirmed_is_lost_by_the_log() {
    kill_again_and_again("log", lives("LEVERET_CRASH_RUNS", 5));
}

#[test]
fn nothing_confirmed_is_lost_by_sled() {
    kill_again_and_again("sled", lives("LEVERET_CRASH_RUNS", 3));
}
