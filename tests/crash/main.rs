//! What a broker owes after it has ended, however it ended: the real binary, real clients, and a
//! ledger that knows what was promised.
//!
//! ```text
//! campaign   life after life on one data directory
//!  ├ inventory   after each start: everything there is, looked at and partly settled
//!  ├ publisher   windows of confirms, transactions; until the end      ┐ record
//!  ├ consumer    acks, multiple acks, rejects, requeues; until the end ┘ what they did and saw
//!  └ ledger      what is owed, what may be there, what must not be     ← deliveries, within a life
//! ```
//! `cargo test -p leveret-tests --test crash` is the short form.
//! `LEVERET_CRASH_RUNS=50` is how often the broker ends in the long one, for each store;
//! `LEVERET_POWER_LOSS=1` adds power losses, which take root and loop devices.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what the harness shows with the failure"
)]

mod stamp;
mod layout;
mod record;
mod deliveries;
mod ledger;
mod link;
mod publisher;
mod consumer;
mod inventory;
mod campaign;

mod kill;
mod restart;
mod paging;
mod moves;
mod repeats;
mod waits;
mod groups;
mod volume;
mod power;
mod feeder;
mod disk_full;
mod directory;
mod newer;
mod vhost_deleted;
mod backup;
mod migrating;
mod verify;
