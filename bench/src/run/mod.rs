//! One run: declare, load, check, delete.
//!
//! ```text
//!   Together   consumers subscribe -- publishers publish -----+
//!                                     (time or number)        +-- all delivered -- check
//!   Drain      publishers publish -- consumers subscribe -----+
//!   Fill       publishers publish -- queues are counted -- check
//! ```
//!
//! Publishers and consumers work in threads of their own while this one
//! [watches](crate::run::watch).

mod engine;
mod crew;

mod parties;

mod churner;
mod consumer;
mod publisher;
pub(crate) mod window;

mod cost;
mod watch;
mod worked;

mod summary;

use crate::client::link::Link;
use crate::client::session::{Session, SessionError};
use crate::clock::Start;
use crate::interrupt::Interrupt;
use crate::load::{Load, Phases};
use crate::outcome::Outcome;
use crate::target::Target;
use crate::topology::Topology;
use churner::Churner;
use consumer::Consumer;
use cost::Cost;
use crew::{Crew, Parties};
use engine::Signals;
use publisher::{Publisher, Sent};
use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use summary::Summary;
use watch::{Counts, LOOK, PATIENCE_NS, Watch};
use worked::End;
pub(crate) use worked::Worked;

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// A connection could not be set up or asked.
    #[error("{0}")]
    Session(#[from] SessionError),
    /// A connection failed under load.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A thread of the generator ended in a panic.
    #[error("a thread of the load generator failed")]
    Thread,
}

/// Runs `load` against `target`. A progress line a second goes to stderr when `talk` is set.
pub(crate) fn run(
    load: &Load,
    target: &Target,
    interrupt: &Interrupt,
    talk: bool,
) -> Result<Outcome, RunError> {
    let topology = Topology::new(load);
    within(&topology, target, After::Delete, |control| {
        Run { load, target, topology: &topology, start: Start::now(), interrupt, talk }
            .measure(control)
    })
}

/// What becomes of the topology when the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It goes with its messages.
    Delete,
    /// It stays.
    Keep,
}

/// Declares `topology` and does `work` with the connection that did.
pub(crate) fn within<T>(
    topology: &Topology,
    target: &Target,
    after: After,
    work: impl FnOnce(&mut Session) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let mut control = Session::open(&target.address, CONNECTION_NAME)?;
    let result = match topology.declare(&mut control) {
        Ok(()) => work(&mut control),
        Err(error) => Err(error.into()),
    };
    let tidied = match after {
        After::Keep => Ok(()),
        After::Delete => delete(topology, target, control),
    };
    let done = result?;
    tidied?;
    Ok(done)
}

/// Deletes the topology; where a refusal has closed the channel, through another.
fn delete(topology: &Topology, target: &Target, mut control: Session) -> Result<(), SessionError> {
    topology.delete(&mut control).and_then(|()| control.close()).or_else(|_| {
        let mut control = Session::open(&target.address, CONNECTION_NAME)?;
        topology.delete(&mut control)?;
        control.close()
    })
}

const CONNECTION_NAME: &str = "leveret bench";

/// A load on its way to an [`Outcome`]; the topology is declared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) load: &'a Load,
    pub(crate) target: &'a Target,
    pub(crate) topology: &'a Topology,
    pub(crate) start: Start,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) talk: bool,
}

impl Run<'_> {
    fn measure(&self, control: &mut Session) -> Result<Outcome, RunError> {
        match self.load.phases {
            Phases::Together => {
                let worked = self.work(self.all()?, 0)?;
                let left = self.left(worked.end, control)?;
                Ok(self.summary(&worked, &worked).consumed(left, self.interrupt.is_set()))
            }
            Phases::Fill => Ok(self.fill(control)?.0),
            Phases::Drain => {
                let filled = self.work(self.those_that_fill()?, 0)?;
                self.settled_depth(control, self.expected(&filled.sent))?;
                let drained = self.drain(&filled, control)?;
                Ok(drained.with_peak_of(filled.cost.memory()))
            }
        }
    }

    /// Publishes, and counts what the queues hold then.
    pub(crate) fn fill(&self, control: &mut Session) -> Result<(Outcome, Worked), RunError> {
        let mut worked = self.work(self.those_that_fill()?, 0)?;
        let depth = self.settled_depth(control, self.expected(&worked.sent))?;
        worked.cost.stop(self.target);
        let time = Duration::from_nanos(self.start.nanoseconds() - worked.began);
        let summary = self.summary(&worked, &worked);
        Ok((summary.filled(depth, time, self.interrupt.is_set()), worked))
    }

    /// Consumes what the publishers of `filled` left in the queues.
    pub(crate) fn drain(
        &self,
        filled: &Worked,
        control: &mut Session,
    ) -> Result<Outcome, RunError> {
        let expected = self.expected(&filled.sent);
        let worked = self.work(self.those_that_drain()?, expected)?;
        let left = self.left(worked.end, control)?;
        Ok(self.summary(filled, &worked).consumed(left, self.interrupt.is_set()))
    }

    const fn summary<'a>(&'a self, sent: &'a Worked, worked: &'a Worked) -> Summary<'a> {
        Summary { load: self.load, target: self.target, sent, worked }
    }

    /// Drives all parties until the phase is over. `waiting` messages are in the queues already.
    fn work(&self, parties: Parties, waiting: u64) -> Result<Worked, RunError> {
        let signals = Signals::new(self.start);
        let mut cost = Cost::begin(self.target);
        let began = self.start.nanoseconds();
        let watch = Watch {
            load: self.load,
            target: self.target,
            interrupt: self.interrupt,
            talk: self.talk,
            published: Counts(parties.publishers.iter().map(Publisher::progress_of).collect()),
            delivered: Counts(parties.consumers.iter().map(Consumer::progress_of).collect()),
            signals: &signals,
            began,
            waiting,
        };
        let (parties, end) = thread::scope(|scope| {
            let rule = (self.load.threads, self.load.lockstep);
            // Those that have started must not outlive one that could not.
            let crew = Crew::start(parties, rule, scope, &signals)
                .inspect_err(|_| signals.stop.store(true, Ordering::Relaxed))?;
            let end = watch.until_over(|| crew.has_failed(), &mut cost);
            signals.stop.store(true, Ordering::Relaxed);
            Ok::<_, RunError>((crew.join()?, end))
        })?;
        let Parties { publishers, rejecters, mut consumers, churners } = parties;
        cost.stop(self.target);
        if end == End::Complete {
            consumers.iter_mut().try_for_each(Consumer::finish)?;
        }
        let (sent, publishing): (Vec<_>, Vec<_>) =
            publishers.into_iter().map(Publisher::into_parts).unzip();
        let (arrived, consuming): (Vec<_>, Vec<_>) =
            consumers.into_iter().map(Consumer::into_parts).unzip();
        let rejecting = rejecters.into_iter().map(|rejecter| rejecter.into_parts().1);
        // A connection that is stuck is not worth another wait: it is dropped.
        if end == End::Complete {
            close(publishing.into_iter().chain(rejecting).chain(consuming))?;
        }
        let churned = self.load.churn.map(|_| churners.iter().map(Churner::deleted).sum());
        Ok(Worked { sent, arrived, end, churned, cost, began })
    }

    /// How many messages should arrive in all queues together.
    fn expected(&self, sent: &[Sent]) -> u64 {
        let messages: u64 = sent.iter().flat_map(|sent| &sent.destinations).sum();
        messages * u64::from(self.load.copies())
    }

    /// Messages that are in the queues and nowhere else, if that can be known.
    fn left(&self, end: End, control: &mut Session) -> Result<Option<u64>, RunError> {
        match end {
            End::Complete => Ok(Some(0)),
            End::Idle => Ok(Some(self.topology.depth(control)?)),
            End::Late | End::Cut => Ok(None),
        }
    }

    /// Waits until the queues hold what was published: brokers count a moment after they confirm.
    fn settled_depth(&self, control: &mut Session, expected: u64) -> Result<u64, RunError> {
        let mut depth = self.topology.depth(control)?;
        let mut changed = self.start.nanoseconds();
        while depth < expected && !self.interrupt.is_set() {
            thread::sleep(LOOK);
            let before = std::mem::replace(&mut depth, self.topology.depth(control)?);
            let now = self.start.nanoseconds();
            if depth != before {
                changed = now;
            }
            if now - changed > PATIENCE_NS {
                break;
            }
        }
        Ok(depth)
    }
}

/// Closes connections and so waits until the broker has dealt with everything sent on them.
fn close(mut links: impl Iterator<Item = Link>) -> Result<(), SessionError> {
    links.try_for_each(|link| Session::resume(link).close())
}
