//! How logins that fail are slowed down, and which of them get a line in the log.
//!
//! Pure, with the time as an argument; `login` holds it. Failures are counted for a user from an
//! address, for an address whatever the user, and for a user whatever the address. A wait grows with
//! the first two, and with the third only for an address from which something failed lately: so
//! whoever guesses at a user's password slows nobody down who comes from elsewhere, not even that
//! user. Waits come before the answer, whether it is yes or no, because else a quick answer would
//! tell that the password was right. Tokens cannot be guessed: whoever has an old one waits for
//! nothing, and nobody waits for it. Addresses of IPv6 count by their /64.
//!
//! Stays true: tables are bounded, a wait is at most [`WAIT_MAX`].

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// The longest wait.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(4);
/// The first wait, which doubles.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// Failures that cost nothing: of a user from an address, of an address, of a user.
const FREE: [u32; 3] = [3, 20, 20];
/// How many failures double the wait.
const STEP: [u32; 3] = [1, 10, 10];
/// Failures are forgotten when there was none for so long.
const MEMORY: Duration = Duration::from_secs(300);
/// How many users, addresses, and users at addresses are known at a time.
const TABLE_MAX: usize = 4096;
/// Lines that failures from one address get in [`WINDOW`], before they are summed up.
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Of a user's name, in bytes: no user has a longer one.
const NAME_MAX: usize = 255;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Slowdown {
    users_from: Table<(Box<str>, IpAddr)>,
    addresses: Table<IpAddr>,
    users: Table<Box<str>>,
    lines: HashMap<IpAddr, Lines>,
}

/// What the log says of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, with the number of failures from this address that had none since the last one.
    Written {
        /// How many.
        unwritten: u32,
    },
    /// Nothing: it is among those of a later line.
    None,
}

impl Line {
    /// What the line ends with, if there is one.
    pub(super) fn more(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Written { unwritten: 0 } => Some(String::new()),
            Self::Written { unwritten } => {
                Some(format!(" ({unwritten} more from there before it)"))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    last: Duration,
}

/// What the log was told of an address lately.
#[derive(Debug, Clone, Copy)]
struct Lines {
    since: Duration,
    failures: u32,
    unwritten: u32,
}

impl Slowdown {
    /// How long a login has to wait for its answer. `now` is a time since any fixed moment.
    pub(super) fn wait(&self, user: &str, address: IpAddr, now: Duration) -> Duration {
        let (user, address) = (name(user), network(address));
        let here = self.addresses.count(&address, now);
        if here == 0 {
            return Duration::ZERO;
        }
        let both = self.users_from.count(&(user.clone(), address), now);
        [both, here, self.users.count(&user, now)]
            .into_iter()
            .zip(FREE.into_iter().zip(STEP))
            .map(|(count, (free, step))| grown(count, free, step))
            .max()
            .unwrap_or_default()
    }

    /// A login failed.
    pub(super) fn failed(&mut self, user: &str, address: IpAddr, now: Duration) -> Line {
        let (user, address) = (name(user), network(address));
        self.users_from.add((user.clone(), address), now);
        self.addresses.add(address, now);
        self.users.add(user, now);
        self.line(address, now)
    }

    /// A login failed that was no guess: nobody waits for it.
    pub(super) fn failed_without_guessing(&mut self, address: IpAddr, now: Duration) -> Line {
        self.line(network(address), now)
    }

    /// A login succeeded: what failed before, of this user and from there, were mistakes.
    pub(super) fn succeeded(&mut self, user: &str, address: IpAddr) {
        if self.addresses.is_empty() {
            return;
        }
        let (user, address) = (name(user), network(address));
        let forgiven = self.users_from.remove(&(user.clone(), address));
        self.addresses.take_off(&address, forgiven);
        self.users.take_off(&user, forgiven);
    }

    fn line(&mut self, address: IpAddr, now: Duration) -> Line {
        if self.lines.len() >= TABLE_MAX && !self.lines.contains_key(&address) {
            self.lines.retain(|_, lines| now.saturating_sub(lines.since) < WINDOW);
            if self.lines.len() >= TABLE_MAX {
                // Of more addresses than that, one line each is too much, too.
                return Line::None;
            }
        }
        let fresh = Lines { since: now, failures: 0, unwritten: 0 };
        let lines = self.lines.entry(address).or_insert(fresh);
        if now.saturating_sub(lines.since) >= WINDOW {
            *lines = Lines { unwritten: lines.unwritten, ..fresh };
        }
        lines.failures = lines.failures.saturating_add(1);
        let is_round = |count: u32| count >= 100 && 10_u32.pow(count.ilog10()) == count;
        if lines.failures <= LINES || is_round(lines.failures) {
            return Line::Written { unwritten: std::mem::take(&mut lines.unwritten) };
        }
        lines.unwritten = lines.unwritten.saturating_add(1);
        Line::None
    }
}

fn grown(count: u32, free: u32, step: u32) -> Duration {
    let Some(beyond) = count.checked_sub(free + 1) else { return Duration::ZERO };
    (WAIT_MIN * (1 << (beyond / step).min(16))).min(WAIT_MAX)
}

fn name(user: &str) -> Box<str> {
    let end = (0..=NAME_MAX.min(user.len())).rev().find(|end| user.is_char_boundary(*end));
    user.get(..end.unwrap_or_default()).unwrap_or_default().into()
}

/// Whoever has an address of IPv6 has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[derive(Debug)]
struct Table<K>(HashMap<K, Failures>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Table<K> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn count(&self, key: &K, now: Duration) -> u32 {
        let known = self.0.get(key).filter(|known| now.saturating_sub(known.last) < MEMORY);
        known.map_or(0, |known| known.count)
    }

    fn add(&mut self, key: K, now: Duration) {
        let count = self.count(&key, now);
        if self.0.len() >= TABLE_MAX && !self.0.contains_key(&key) {
            self.forget_the_oldest(now);
        }
        self.0.insert(key, Failures { count: count.saturating_add(1), last: now });
    }

    /// Half of them at once, so that it is rarely done.
    fn forget_the_oldest(&mut self, now: Duration) {
        self.0.retain(|_, known| now.saturating_sub(known.last) < MEMORY);
        if self.0.len() < TABLE_MAX {
            return;
        }
        let mut last: Vec<Duration> = self.0.values().map(|known| known.last).collect();
        last.sort_unstable();
        let middle = last.get(last.len() / 2).copied().unwrap_or_default();
        // Those of the very moment in the middle go too, or there may be no room.
        self.0.retain(|_, known| known.last > middle);
    }

    fn remove(&mut self, key: &K) -> u32 {
        self.0.remove(key).map_or(0, |known| known.count)
    }

    fn take_off(&mut self, key: &K, count: u32) {
        let left = self.0.get_mut(key).map(|known| {
            known.count = known.count.saturating_sub(count);
            known.count
        });
        if left == Some(0) {
            self.0.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const NOW: Duration = Duration::from_secs(1000);

    fn after(
        failures: u32,
        user: impl Fn(u32) -> String,
        from: impl Fn(u32) -> IpAddr,
    ) -> Slowdown {
        let mut slowdown = Slowdown::default();
        for n in 0..failures {
            slowdown.failed(&user(n), from(n), NOW);
        }
        slowdown
    }

    #[test]
    fn guesses_at_one_user_are_slowed_down_more_and_more() {
        let waits: Vec<u128> = (0..12)
            .map(|n| after(n, |_| "bob".to_owned(), |_| HERE).wait("bob", HERE, NOW).as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 4000, 4000, 4000]);
    }

    #[test]
    fn nobody_else_waits() {
        let slowdown = after(15, |_| "bob".to_owned(), |_| HERE);
        assert_eq!(slowdown.wait("bob", HERE, NOW), WAIT_MAX);
        assert_eq!(slowdown.wait("bob", THERE, NOW), Duration::ZERO, "from elsewhere");
        assert_eq!(slowdown.wait("eve", HERE, NOW), Duration::ZERO, "a neighbour");
        let from_everywhere = |n: u32| IpAddr::from(n.to_be_bytes());
        let slowdown = after(1000, |_| "bob".to_owned(), from_everywhere);
        assert_eq!(slowdown.wait("bob", HERE, NOW), Duration::ZERO);
    }

    #[test]
    fn an_address_that_tries_many_users_is_slowed_down() {
        let of = |failures| after(failures, |n| n.to_string(), |_| HERE).wait("bob", HERE, NOW);
        assert_eq!(of(20), Duration::ZERO);
        assert_eq!(of(21), WAIT_MIN);
        assert_eq!(of(100), WAIT_MAX);
    }

    #[test]
    fn a_user_who_is_attacked_from_many_addresses_waits_only_at_those() {
        let slowdown = after(100, |_| "bob".to_owned(), |n| IpAddr::from((n + 1).to_be_bytes()));
        assert_eq!(slowdown.wait("bob", IpAddr::from([0, 0, 0, 7]), NOW), WAIT_MAX);
        assert_eq!(slowdown.wait("bob", HERE, NOW), Duration::ZERO);
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let from =
            |n: u32| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_0000_0001 << 64) | u128::from(n)));
        let slowdown = after(30, |n| n.to_string(), from);
        assert!(slowdown.wait("bob", from(99), NOW) > Duration::ZERO);
        let elsewhere = IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]);
        assert_eq!(slowdown.wait("bob", elsewhere, NOW), Duration::ZERO);
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        let slowdown = after(30, |n| n.to_string(), |_| mapped);
        assert!(slowdown.wait("bob", HERE, NOW) > Duration::ZERO);
    }

    #[test]
    fn failures_are_forgotten_after_a_while_or_by_a_success() {
        let mut slowdown = after(15, |_| "bob".to_owned(), |_| HERE);
        assert_eq!(slowdown.wait("bob", HERE, NOW + MEMORY), Duration::ZERO);
        slowdown.succeeded("bob", HERE);
        assert_eq!(slowdown.wait("bob", HERE, NOW), Duration::ZERO);
        assert!(slowdown.addresses.is_empty() && slowdown.users.is_empty());
        // A success takes off what was its own, and no more.
        let mut slowdown = after(30, |n| (n % 2).to_string(), |_| HERE);
        slowdown.succeeded("0", HERE);
        assert_eq!(slowdown.addresses.count(&HERE, NOW), 15);
        assert_eq!(slowdown.wait("1", HERE, NOW), WAIT_MAX);
    }

    #[test]
    fn many_failures_have_few_lines() {
        let mut slowdown = Slowdown::default();
        let mut written = 0;
        let mut told = 0;
        for n in 0..25_000_u32 {
            let now = NOW + Duration::from_millis(u64::from(n) / 1000);
            if let Line::Written { unwritten } = slowdown.failed("bob", HERE, now) {
                written += 1;
                told += unwritten + 1;
            }
        }
        assert_eq!((written, told), (13, 10_000), "the first ten, and 100, 1000, 10000");
        let later = slowdown.failed("bob", HERE, NOW + WINDOW);
        assert_eq!(later, Line::Written { unwritten: 15_000 }, "none is forgotten");
        assert_eq!(slowdown.failed("bob", THERE, NOW), Line::Written { unwritten: 0 });
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(name(&"é".repeat(300)).len(), 254);
        assert_eq!(&*name("bob"), "bob");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn tables_and_waits_are_bounded(
            failures in prop::collection::vec((0..6000_u32, 0..6000_u32, 0..400_u64), 0..2000),
            repeats in 1..8_usize,
        ) {
            let mut slowdown = Slowdown::default();
            let mut now = NOW;
            for ((user, address, pause), n) in
                failures.iter().cycle().take(failures.len() * repeats).zip(0..)
            {
                now += Duration::from_millis(*pause);
                let user = (user + n).to_string();
                let address = IpAddr::from((address + n).to_be_bytes());
                slowdown.failed(&user, address, now);
                prop_assert!(slowdown.wait(&user, address, now) <= WAIT_MAX);
                prop_assert!(slowdown.users_from.count(&(user.into(), address), now) >= 1);
            }
            prop_assert!(slowdown.users_from.0.len() <= TABLE_MAX);
            prop_assert!(slowdown.addresses.0.len() <= TABLE_MAX);
            prop_assert!(slowdown.users.0.len() <= TABLE_MAX);
            prop_assert!(slowdown.lines.len() <= TABLE_MAX);
        }
    }
}
