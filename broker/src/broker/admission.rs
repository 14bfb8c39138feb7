//! How many connections users and vhosts have, and channels users, against their limits.
//!
//! Asked by `connection::handshake` when a vhost is opened, and by the session when a channel is. Stays
//! true: whoever was let in is counted until what it was given is dropped, and a limit is never passed:
//! counting and asking are one step. See RabbitMQ's pages on virtual hosts ("Limits") and on users
//! ("Per-User Limits").

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Who has how many.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    open: Mutex<Open>,
    /// Rung when the last connection has left a vhost.
    emptied: Notify,
    /// Channels of all users together.
    channels: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Open {
    users: HashMap<String, OfUser>,
    vhosts: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct OfUser {
    connections: usize,
    channels: Arc<AtomicUsize>,
}

/// Which limit is reached, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Connections of the vhost.
    Vhost(u32),
    /// Connections of the user.
    User(u32),
}

/// Which limit of channels is reached, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// That of the user.
    User(u32),
    /// That of the broker.
    Node(usize),
}

/// A connection that was let in.
#[derive(Debug)]
pub(crate) struct Admission {
    all: Arc<Admissions>,
    user: String,
    vhost: String,
    channels: Arc<AtomicUsize>,
    has_left: AtomicBool,
}

/// A channel that was opened.
#[derive(Debug)]
pub(crate) struct Seat {
    of_user: Arc<AtomicUsize>,
    of_all: Arc<AtomicUsize>,
}

fn is_reached(count: usize, limit: Option<u32>) -> Option<u32> {
    limit.filter(|limit| count >= *limit as usize)
}

impl Admissions {
    /// Lets a connection in.
    ///
    /// # Errors
    /// The vhost or the user has as many as it may.
    pub(crate) fn enter(
        self: &Arc<Self>,
        (vhost, vhost_limit): (&str, Option<u32>),
        (user, user_limit): (&str, Option<u32>),
    ) -> Result<Admission, Reached> {
        let mut open = self.open.lock();
        let in_vhost = open.vhosts.get(vhost).copied().unwrap_or_default();
        if let Some(limit) = is_reached(in_vhost, vhost_limit) {
            return Err(Reached::Vhost(limit));
        }
        let of_user = open.users.get(user).map_or(0, |of| of.connections);
        if let Some(limit) = is_reached(of_user, user_limit) {
            return Err(Reached::User(limit));
        }
        *open.vhosts.entry(vhost.to_owned()).or_default() += 1;
        let of_user = open.users.entry(user.to_owned()).or_default();
        of_user.connections += 1;
        let channels = Arc::clone(&of_user.channels);
        let (user, vhost) = (user.to_owned(), vhost.to_owned());
        let (all, has_left) = (Arc::clone(self), AtomicBool::new(false));
        Ok(Admission { all, user, vhost, channels, has_left })
    }

    /// Waits until nobody is in a vhost.
    pub(super) async fn all_left(&self, vhost: &str) {
        loop {
            let emptied = self.emptied.notified();
            if self.in_vhost(vhost) == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// How many channels there are.
    pub(crate) fn channels(&self) -> usize {
        self.channels.load(Ordering::Relaxed)
    }

    /// How many connections and channels a user has.
    pub(crate) fn of_user(&self, user: &str) -> (usize, usize) {
        let open = self.open.lock();
        let of = open.users.get(user);
        of.map_or((0, 0), |of| (of.connections, of.channels.load(Ordering::Relaxed)))
    }

    /// How many connections a vhost has.
    pub(crate) fn in_vhost(&self, vhost: &str) -> usize {
        self.open.lock().vhosts.get(vhost).copied().unwrap_or_default()
    }
}

impl Admission {
    /// Opens a channel. Limits are those of the user and of the broker, looked at in this order.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(crate) fn open_channel(
        &self,
        (user_limit, node_limit): (Option<u32>, Option<usize>),
    ) -> Result<Seat, Full> {
        let (of_user, of_all) = (Arc::clone(&self.channels), Arc::clone(&self.all.channels));
        let count = of_user.fetch_add(1, Ordering::Relaxed);
        let count_of_all = of_all.fetch_add(1, Ordering::Relaxed);
        // From here on it is counted, and dropped again if it was one too many.
        let seat = Seat { of_user, of_all };
        if let Some(limit) = is_reached(count, user_limit) {
            return Err(Full::User(limit));
        }
        match node_limit.filter(|limit| count_of_all >= *limit) {
            Some(limit) => Err(Full::Node(limit)),
            None => Ok(seat),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.of_user.fetch_sub(1, Ordering::Relaxed);
        self.of_all.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// The connection ends: it counts no more. Before its client can know of it.
    pub(crate) fn leave(&self) {
        if self.has_left.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut open = self.all.open.lock();
        if let Some(count) = open.vhosts.get_mut(&self.vhost) {
            *count -= 1;
            if *count == 0 {
                open.vhosts.remove(&self.vhost);
                self.all.emptied.notify_waiters();
            }
        }
        if let Some(of_user) = open.users.get_mut(&self.user) {
            of_user.connections -= 1;
            if of_user.connections == 0 {
                open.users.remove(&self.user);
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept_and_given_back() {
        let all = Arc::new(Admissions::default());
        let enter = |vhost, user| all.enter((vhost, Some(2)), (user, Some(1)));
        let first = enter("v", "a").unwrap();
        assert_eq!(enter("w", "a").unwrap_err(), Reached::User(1));
        let second = enter("v", "b").unwrap();
        assert_eq!(enter("v", "c").unwrap_err(), Reached::Vhost(2));
        assert_eq!(all.in_vhost("v"), 2);
        drop(first);
        let third = enter("v", "a").unwrap();
        drop((second, third));
        assert!(all.open.lock().vhosts.is_empty() && all.open.lock().users.is_empty());
    }

    #[test]
    fn nobody_gets_in_where_the_limit_is_none_at_all() {
        let all = Arc::new(Admissions::default());
        assert_eq!(all.enter(("v", Some(0)), ("a", None)).unwrap_err(), Reached::Vhost(0));
        assert!(all.enter(("v", None), ("a", None)).is_ok());
    }

    #[test]
    fn channels_of_all_connections_of_a_user_count() {
        let all = Arc::new(Admissions::default());
        let connections = ["v", "w"].map(|vhost| all.enter((vhost, None), ("a", None)).unwrap());
        let two = (Some(2), None);
        let first = connections[0].open_channel(two).unwrap();
        let second = connections[1].open_channel(two).unwrap();
        assert_eq!(connections[1].open_channel(two).unwrap_err(), Full::User(2));
        drop(first);
        let third = connections[1].open_channel(two).unwrap();
        drop((second, third));
        assert_eq!(connections[0].channels.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn channels_of_all_users_count_for_the_broker() {
        let all = Arc::new(Admissions::default());
        let connections = ["a", "b"].map(|user| all.enter(("v", None), (user, None)).unwrap());
        let open = |at: usize, user| connections[at].open_channel((user, Some(2)));
        let first = open(0, Some(1)).unwrap();
        assert_eq!(open(0, Some(1)).unwrap_err(), Full::User(1));
        let second = open(1, None).unwrap();
        assert_eq!(open(1, None).unwrap_err(), Full::Node(2));
        assert_eq!(open(0, Some(1)).unwrap_err(), Full::User(1), "that of the user comes first");
        drop(first);
        let third = open(1, None).unwrap();
        drop((second, third));
        assert_eq!(all.channels.load(Ordering::Relaxed), 0);
    }
}
