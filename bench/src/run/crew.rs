//! The threads of a phase and who works in which.
//!
//! Publishers share threads and so do consumers, apart from each other; in lockstep a publisher
//! waits for what a consumer received, so all of them share one.

use crate::client::link::Link;
use crate::run::RunError;
use crate::run::churner::Churner;
use crate::run::consumer::Consumer;
use crate::run::engine::{Next, Party, Progress, Signals, drive};
use crate::run::publisher::Publisher;
use std::io;
use std::sync::Arc;
use std::thread::{self, Scope, ScopedJoinHandle};

/// Everyone who takes part in a phase.
#[derive(Debug, Default)]
pub(crate) struct Parties {
    pub(crate) publishers: Vec<Publisher>,
    /// They stand between the former and the latter.
    pub(crate) rejecters: Vec<Consumer>,
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) churners: Vec<Churner>,
}

/// Any of them, boxed because they are of different sizes.
#[derive(Debug)]
enum Member {
    Publisher(Box<Publisher>),
    Rejecter(Box<Consumer>),
    Consumer(Box<Consumer>),
    Churner(Box<Churner>),
}

impl Member {
    fn progress_of(&self) -> Arc<Progress> {
        match self {
            Self::Publisher(publisher) => publisher.progress_of(),
            Self::Rejecter(consumer) | Self::Consumer(consumer) => consumer.progress_of(),
            Self::Churner(churner) => churner.progress_of(),
        }
    }
}

impl Party for Member {
    fn link(&mut self) -> &mut Link {
        match self {
            Self::Publisher(publisher) => publisher.link(),
            Self::Rejecter(consumer) | Self::Consumer(consumer) => consumer.link(),
            Self::Churner(churner) => churner.link(),
        }
    }

    fn progress(&mut self, signals: &Signals) -> io::Result<Next> {
        match self {
            Self::Publisher(publisher) => publisher.progress(signals),
            Self::Rejecter(consumer) | Self::Consumer(consumer) => consumer.progress(signals),
            Self::Churner(churner) => churner.progress(signals),
        }
    }
}

impl Parties {
    /// Who shares a thread with whom, `threads` at most for each kind. In lockstep consumers come
    /// before the publishers that wait for them.
    fn into_groups(self, threads: u16, lockstep: bool) -> Vec<Vec<Member>> {
        let publishers = self.publishers.into_iter().map(Box::new).map(Member::Publisher);
        let rejecters = self.rejecters.into_iter().map(Box::new).map(Member::Rejecter);
        let consumers = self.consumers.into_iter().map(Box::new).map(Member::Consumer);
        let churners = self.churners.into_iter().map(Box::new).map(Member::Churner);
        let mut groups = Vec::new();
        if lockstep {
            groups.push(rejecters.chain(consumers).chain(publishers).collect());
        } else {
            groups.extend(spread(publishers, threads));
            groups.extend(spread(rejecters, threads));
            groups.extend(spread(consumers, threads));
        }
        groups.push(churners.collect());
        groups.retain(|group: &Vec<Member>| !group.is_empty());
        groups
    }

    fn add(&mut self, member: Member) {
        match member {
            Member::Publisher(publisher) => self.publishers.push(*publisher),
            Member::Rejecter(rejecter) => self.rejecters.push(*rejecter),
            Member::Consumer(consumer) => self.consumers.push(*consumer),
            Member::Churner(churner) => self.churners.push(*churner),
        }
    }
}

/// Deals members out to groups in turn.
fn spread(members: impl ExactSizeIterator<Item = Member>, threads: u16) -> Vec<Vec<Member>> {
    let count = usize::from(threads).min(members.len()).max(1);
    let mut groups: Vec<Vec<Member>> = Vec::new();
    groups.resize_with(count, Vec::new);
    for (number, member) in members.enumerate() {
        if let Some(group) = groups.get_mut(number % count) {
            group.push(member);
        }
    }
    groups
}

/// The threads at work.
#[derive(Debug)]
pub(crate) struct Crew<'scope> {
    threads: Vec<Thread<'scope>>,
}

#[derive(Debug)]
struct Thread<'scope> {
    handle: ScopedJoinHandle<'scope, io::Result<Vec<Member>>>,
    progress: Vec<Arc<Progress>>,
}

impl<'scope> Crew<'scope> {
    /// Starts all threads.
    pub(crate) fn start(
        parties: Parties,
        (threads, lockstep): (u16, bool),
        scope: &'scope Scope<'scope, '_>,
        signals: &'scope Signals,
    ) -> io::Result<Self> {
        let spawn = |group: Vec<Member>| {
            let progress = group.iter().map(Member::progress_of).collect();
            let work = move || drive(group, signals);
            let handle = thread::Builder::new().spawn_scoped(scope, work)?;
            Ok(Thread { handle, progress })
        };
        let groups = parties.into_groups(threads, lockstep);
        Ok(Self { threads: groups.into_iter().map(spawn).collect::<io::Result<_>>()? })
    }

    /// Whether a thread ended before all in it were done, which only an error explains.
    pub(crate) fn has_failed(&self) -> bool {
        let is_done = |thread: &Thread<'_>| thread.progress.iter().all(|party| party.has_ended());
        self.threads.iter().any(|thread| thread.handle.is_finished() && !is_done(thread))
    }

    /// Waits for all threads and gives back who worked in them.
    pub(crate) fn join(self) -> Result<Parties, RunError> {
        let mut parties = Parties::default();
        for thread in self.threads {
            let members = thread.handle.join().map_err(|_| RunError::Thread)??;
            members.into_iter().for_each(|member| parties.add(member));
        }
        Ok(parties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{consumer, publisher};
    use std::net::{TcpListener, TcpStream};
    use std::num::NonZeroU32;
    use std::time::Duration;

    fn link(listener: &TcpListener) -> Link {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Link::new(stream, Duration::from_secs(1)).unwrap()
    }

    fn parties(publishers: u16, consumers: u16) -> Parties {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let publisher = |number| {
            let templates = Vec::new();
            let (confirm, rate, messages) = (None, None, None);
            let order =
                publisher::Order { number, destinations: 0, templates, confirm, rate, messages };
            Publisher::new(link(&listener), order, 0)
        };
        let consumer = |_| {
            let (queues, ack_every, rate) = (vec![0], None, None);
            let (rejects, checked) = (false, true);
            let order = consumer::Order { queues, publishers, ack_every, rejects, rate, checked };
            Consumer::new(link(&listener), order, 0)
        };
        let churner = Churner::new(link(&listener), String::new(), NonZeroU32::MIN, 0);
        Parties {
            publishers: (0..publishers).map(publisher).collect(),
            rejecters: Vec::new(),
            consumers: (0..consumers).map(consumer).collect(),
            churners: vec![churner],
        }
    }

    #[test]
    fn kinds_keep_apart_unless_they_go_in_lockstep() {
        let kinds = |group: &Vec<Member>| {
            let kind = |member: &Member| match member {
                Member::Publisher(_) => 'p',
                Member::Rejecter(_) => 'r',
                Member::Consumer(_) => 'c',
                Member::Churner(_) => 'x',
            };
            group.iter().map(kind).collect::<String>()
        };
        let groups = |parties: Parties, threads, lockstep| {
            parties.into_groups(threads, lockstep).iter().map(kinds).collect::<Vec<_>>()
        };
        assert_eq!(groups(parties(3, 1), 2, false), ["pp", "p", "c", "x"]);
        assert_eq!(groups(parties(0, 2), 1, false), ["cc", "x"]);
        assert_eq!(groups(parties(2, 2), 4, true), ["ccpp", "x"]);
    }
}
