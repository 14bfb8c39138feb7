//! Power loss under load: ext4 on a loop device is shut down without its journal, so that only what
//! was synced is there when it is mounted again.
//!
//! Runs with `LEVERET_POWER_LOSS=1`, as root; `LEVERET_POWER_LOSS_RUNS` is how often, for each store.

use leveret_tests::broker_under_test::{BrokerUnderTest, run_leveret};

use crate::campaign::{Campaign, lives, seeded};
use crate::record::Ending;
use crate::volume::{Kind, PowerSwitch, Volume, skip};

const RUNS: usize = 20;
/// Then it goes on with a new volume: the first life of a directory has dangers of its own.
const LOSSES_PER_VOLUME: usize = 4;
/// Far more than is ever written between two looks.
const VOLUME_MEGABYTES: u64 = 2048;

fn lose_power_again_and_again(store: &str) {
    let test = format!("power loss of {store}");
    if std::env::var("LEVERET_POWER_LOSS").as_deref() != Ok("1") {
        return skip(&test, "LEVERET_POWER_LOSS=1 is not set");
    }
    let mut left = lives("LEVERET_POWER_LOSS_RUNS", RUNS);
    while left > 0 {
        let losses = left.min(LOSSES_PER_VOLUME);
        match Volume::mount(Kind::Ext4, VOLUME_MEGABYTES) {
            Ok(volume) => live_on(&volume, store, losses),
            Err(reason) => return skip(&test, &reason),
        }
        left -= losses;
    }
}

fn live_on(volume: &Volume, store: &str, losses: usize) {
    let random = seeded(store);
    let data = volume.path().join("data");
    let config = format!("message_store = {store}\n");
    let mut campaign = Campaign::new(BrokerUnderTest::stopped(&config, Some(&data)), random);
    for loss in 0..losses {
        println!("{store}: power loss {loss}");
        let switch = PowerSwitch::arm(&volume.path());
        campaign.live(Ending::PowerLoss, |broker| {
            switch.cut();
            broker.kill();
        });
        volume.come_back();
        let verified = run_leveret(&["verify".as_ref(), data.as_os_str()]);
        assert!(verified.status.success(), "after power loss {loss}: {verified:?}");
    }
    campaign.finish();
}

#[test]
fn nothing_confirmed_is_lost_by_the_log() {
    lose_power_again_and_again("log");
}

#[test]
fn nothing_confirmed_is_lost_by_sled() {
    lose_power_again_and_again("sled");
}
