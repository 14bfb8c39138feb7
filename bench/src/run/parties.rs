//! The connections of a phase, opened and told what to do before anything is measured.

use crate::client::session::{Session, SessionError};
use crate::run::churner::Churner;
use crate::run::consumer::{self, Consumer};
use crate::run::crew::Parties;
use crate::run::publisher::{self, Publisher};
use crate::run::{CONNECTION_NAME, Run};

impl Run<'_> {
    /// The parties of a phase that publishes and consumes: consumers first.
    pub(crate) fn all(&self) -> Result<Parties, SessionError> {
        let consumers = self.consumers()?;
        let mut publishers = self.publishers()?;
        if self.load.lockstep {
            for (publisher, consumer) in publishers.iter_mut().zip(&consumers) {
                publisher.follow(consumer.progress_of());
            }
        }
        Ok(Parties { publishers, consumers, churners: self.churners()? })
    }

    /// The parties of a phase that only publishes.
    pub(crate) fn those_that_fill(&self) -> Result<Parties, SessionError> {
        let publishers = self.publishers()?;
        Ok(Parties { publishers, consumers: Vec::new(), churners: self.churners()? })
    }

    /// The parties of a phase that only consumes.
    pub(crate) fn those_that_drain(&self) -> Result<Parties, SessionError> {
        let consumers = self.consumers()?;
        Ok(Parties { publishers: Vec::new(), consumers, churners: self.churners()? })
    }

    fn publishers(&self) -> Result<Vec<Publisher>, SessionError> {
        (0..self.load.publishers).map(|number| self.publisher(number)).collect()
    }

    fn publisher(&self, number: u16) -> Result<Publisher, SessionError> {
        let mut session = self.session()?;
        if self.load.confirm.is_some() {
            session.confirm()?;
        }
        let order = publisher::Order {
            number,
            destinations: self.load.queues_of_publisher(number).len(),
            templates: self.topology.templates(self.load, number, session.frame_max()),
            confirm: self.load.confirm,
            rate: self.load.rate,
            messages: self.load.messages_of_publisher(number),
        };
        Ok(Publisher::new(session.into_link(), order, self.start.nanoseconds()))
    }

    fn consumers(&self) -> Result<Vec<Consumer>, SessionError> {
        (0..self.load.consumers).map(|number| self.consumer(number)).collect()
    }

    fn consumer(&self, number: u16) -> Result<Consumer, SessionError> {
        let mut session = self.session()?;
        let queues = self.load.queues_of_consumer(number);
        let no_ack = self.load.ack_every.is_none();
        if !no_ack && self.load.prefetch > 0 {
            session.prefetch(self.load.prefetch)?;
        }
        for (slot, queue) in queues.iter().enumerate() {
            session.consume(self.topology.queue(*queue), slot, no_ack)?;
        }
        let order = consumer::Order {
            queues,
            publishers: self.load.publishers,
            ack_every: self.load.ack_every,
            rate: self.load.consumer_rate,
            checked: self.load.is_checked(),
        };
        Ok(Consumer::new(session.into_link(), order, self.start.nanoseconds()))
    }

    /// The one that declares and deletes queues, if one is to.
    fn churners(&self) -> Result<Vec<Churner>, SessionError> {
        let open = |per_second| {
            let prefix = self.topology.queue(0).to_owned();
            let link = self.session()?.into_link();
            Ok(Churner::new(link, prefix, per_second, self.start.nanoseconds()))
        };
        self.load.churn.into_iter().map(open).collect()
    }

    fn session(&self) -> Result<Session, SessionError> {
        Session::open(&self.target.address, CONNECTION_NAME)
    }
}
