//! Connections that are not open yet, so that a flood of them takes nothing from those that are.
//!
//! Asked by `server` before it accepts and told of every socket it accepted; `connection::serve` holds
//! the `Place` until the connection is open. Whoever opens a connection takes milliseconds for it; so
//! when there are too many, those that have taken longest go first: of an address that has more than
//! its share, else of whoever has most. Nobody goes within `PATIENCE`: a storm of clients that come
//! back waits in the system's queue instead. Pure but for the lock: the time is given.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;

/// How long everybody has, however many there are.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is told that somebody had to go.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HalfOpenLimits {
    /// In all.
    pub all: usize,
    /// Of one address: beyond that its own go first.
    pub of_address: usize,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    limits: HalfOpenLimits,
    open: Mutex<Guests>,
    left: Notify,
}

/// In the order in which they came.
#[derive(Debug, Default)]
struct Guests {
    next: u64,
    all: BTreeMap<u64, Guest>,
    of_address: HashMap<IpAddr, usize>,
    /// How many had to go since that was told, and when it was.
    gone: u64,
    told: Option<Instant>,
}

#[derive(Debug)]
struct Guest {
    from: IpAddr,
    came: Instant,
    must_go: CancellationToken,
}

/// Somebody who is not in yet; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    list: Arc<HalfOpen>,
    number: u64,
    must_go: CancellationToken,
}

impl HalfOpen {
    /// Nobody yet.
    pub(crate) fn new(limits: HalfOpenLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default(), left: Notify::new() })
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.open.lock().all.len()
    }

    /// Waits until there is room for another, or somebody has had time enough.
    pub(crate) async fn room(&self) {
        loop {
            let left = self.left.notified();
            let Some(until) = self.full_until() else { return };
            if timeout_at(until, left).await.is_err() {
                return;
            }
        }
    }

    /// When the first of them has had time enough; `None` while there is room.
    fn full_until(&self) -> Option<Instant> {
        let open = self.open.lock();
        let (_, first) = open.all.first_key_value()?;
        (open.all.len() >= self.limits.all).then(|| first.came + PATIENCE)
    }

    /// How many had to go, if that should be told again.
    pub(crate) fn news(&self, now: Instant) -> Option<u64> {
        let mut open = self.open.lock();
        let is_due = open.told.is_none_or(|told| now.saturating_duration_since(told) >= TOLD_EVERY);
        if open.gone == 0 || !is_due {
            return None;
        }
        open.told = Some(now);
        Some(std::mem::take(&mut open.gone))
    }

    /// Somebody came; whether somebody else has to go for it. `from` is none where proxies stand for
    /// their clients.
    pub(crate) fn enter(self: &Arc<Self>, from: Option<IpAddr>, now: Instant) -> (Place, bool) {
        let from = network(from.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        let is_known = !from.is_unspecified();
        let mut open = self.open.lock();
        let of_address = open.of_address.get(&from).copied().unwrap_or_default();
        let victim = if is_known && of_address >= self.limits.of_address {
            open.oldest(now, |guest| guest.from == from)
        } else if open.all.len() >= self.limits.all {
            let most = open.of_address.values().copied().max();
            let has_most = |guest: &Guest| open.of_address.get(&guest.from).copied() == most;
            open.oldest(now, has_most).or_else(|| open.oldest(now, |_| true))
        } else {
            None
        };
        if let Some(victim) = victim {
            open.remove(victim, |guest| guest.must_go.cancel());
            open.gone += 1;
        }
        let (number, must_go) = (open.next, CancellationToken::new());
        open.next += 1;
        open.all.insert(number, Guest { from, came: now, must_go: must_go.clone() });
        *open.of_address.entry(from).or_default() += 1;
        drop(open);
        (Place { list: Arc::clone(self), number, must_go }, victim.is_some())
    }
}

impl Guests {
    /// Who of these came first and has had time enough.
    fn oldest(&self, now: Instant, is_one: impl Fn(&Guest) -> bool) -> Option<u64> {
        let is_due = |guest: &Guest| now.saturating_duration_since(guest.came) >= PATIENCE;
        let mut due = self.all.iter().take_while(|(_, guest)| is_due(guest));
        due.find(|(_, guest)| is_one(guest)).map(|(number, _)| *number)
    }

    fn remove(&mut self, number: u64, then: impl FnOnce(&Guest)) {
        let Some(guest) = self.all.remove(&number) else { return };
        if let Some(count) = self.of_address.get_mut(&guest.from) {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&guest.from);
            }
        }
        then(&guest);
    }
}

impl Place {
    /// When others need it more.
    async fn taken(&self) {
        self.must_go.cancelled().await;
    }

    /// What comes of it; `None` if the broker ends before, or others need the place more.
    pub(super) async fn unless_taken<T>(
        &self,
        broker: &Broker,
        coming: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            () = broker.stopping().cancelled() => None,
            come = coming => Some(come),
            () = self.taken() => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.list.open.lock().remove(self.number, |_| ());
        self.list.left.notify_waiters();
    }
}

/// Whoever has an address of version 6 has at least 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some([192, 0, 2, last].into())
    }

    fn list(all: usize, of_address: usize) -> Arc<HalfOpen> {
        HalfOpen::new(HalfOpenLimits { all, of_address })
    }

    fn must_go(place: &(Place, bool)) -> bool {
        place.0.must_go.is_cancelled()
    }

    #[test]
    fn nobody_goes_while_there_is_room_and_places_are_given_back() {
        let (list, now) = (list(3, 3), Instant::now());
        let late = now + 2 * PATIENCE;
        let guests: Vec<_> = (0..3).map(|_| list.enter(address(1), now)).collect();
        assert!(guests.iter().all(|guest| !must_go(guest)));
        drop(guests);
        assert_eq!(list.count(), 0);
        assert!(!list.enter(address(1), late).1);
        assert!(list.open.lock().of_address.is_empty());
    }

    #[test]
    fn of_an_address_with_too_many_the_first_goes_but_not_at_once() {
        let (list, now) = (list(100, 2), Instant::now());
        let other = list.enter(address(2), now);
        let guests: Vec<_> = (0..3).map(|_| list.enter(address(1), now)).collect();
        assert!(!guests.iter().any(must_go), "all of them have just come");
        let later = list.enter(address(1), now + PATIENCE);
        assert_eq!(guests.iter().map(must_go).collect::<Vec<_>>(), [true, false, false]);
        assert!(later.1 && !must_go(&other) && !must_go(&later));
        let last = list.enter(address(1), now + PATIENCE);
        assert_eq!(guests.iter().map(must_go).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(list.count(), 4, "{last:?}");
    }

    #[test]
    fn when_it_is_full_whoever_has_most_makes_room() {
        let (list, now) = (list(4, 100), Instant::now());
        let others = [list.enter(address(2), now), list.enter(address(3), now)];
        let flood = [list.enter(address(1), now), list.enter(address(1), now)];
        let new = list.enter(address(4), now + PATIENCE);
        assert!(new.1 && must_go(&flood[0]) && !must_go(&flood[1]));
        assert!(!others.iter().any(must_go));
        // Now each has one: the first of all goes. Behind proxies nobody is told from anybody.
        let proxied = list.enter(None, now + PATIENCE);
        assert!(proxied.1 && must_go(&others[0]));
        assert!(!must_go(&others[1]) && !must_go(&flood[1]) && !must_go(&new));
    }

    #[test]
    fn it_is_told_now_and_then_that_somebody_had_to_go() {
        let (list, now) = (list(1, 1), Instant::now());
        assert_eq!(list.news(now), None);
        let guests: Vec<_> = (0..4).map(|n| list.enter(address(1), now + n * PATIENCE)).collect();
        assert_eq!(guests.iter().filter(|guest| must_go(guest)).count(), 3);
        assert_eq!(list.news(now), Some(3));
        let _another = list.enter(address(1), now + 9 * PATIENCE);
        assert_eq!(list.news(now + 9 * PATIENCE), None);
        assert_eq!(list.news(now + TOLD_EVERY), Some(1));
    }

    #[test]
    fn neighbours_in_a_network_of_version_6_are_one() {
        let parsed = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(parsed("2001:db8::1")), network(parsed("2001:db8::2:0:0:1")));
        assert_ne!(network(parsed("2001:db8:0:1::1")), network(parsed("2001:db8::1")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_list_waits_for_who_leaves_or_for_time_enough() {
        let list = list(1, 1);
        list.room().await;
        let (place, _) = list.enter(address(1), Instant::now());
        let started = Instant::now();
        tokio::join!(list.room(), async { drop(place) });
        assert!(started.elapsed() < PATIENCE);
        let (place, _) = list.enter(address(1), Instant::now());
        list.room().await;
        assert!(started.elapsed() >= PATIENCE);
        let second = list.enter(address(2), Instant::now());
        assert!(second.1);
        place.taken().await;
    }
}
