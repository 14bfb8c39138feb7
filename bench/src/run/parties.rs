//! The connections of a phase, opened and told what to do before anything is measured.

use crate::client::session::{Session, SessionError};
use crate::run::churner::Churner;
use crate::run::consumer::{self, Consumer};
use crate::run::crew::Parties;
use crate::run::publisher::{self, Publisher};
use crate::run::{CONNECTION_NAME, Run};
use std::num::NonZeroU32;

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
        let rejecters = self.rejecters()?;
        Ok(Parties { publishers, rejecters, consumers, churners: self.churners()? })
    }

    /// The parties of a phase that only publishes.
    pub(crate) fn those_that_fill(&self) -> Result<Parties, SessionError> {
        let publishers = self.publishers()?;
        Ok(Parties { publishers, churners: self.churners()?, ..Parties::default() })
    }

    /// The parties of a phase that only consumes.
    pub(crate) fn those_that_drain(&self) -> Result<Parties, SessionError> {
        let consumers = self.consumers()?;
        Ok(Parties { consumers, churners: self.churners()?, ..Parties::default() })
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
        let open = |number| {
            let (ack_every, rate) = (self.load.ack_every, self.load.consumer_rate);
            let name = |queue| self.topology.queue(queue).to_owned();
            self.consumer(name, consumer::Order { ack_every, rate, ..self.order(number) })
        };
        (0..self.load.consumers).map(open).collect()
    }

    /// Those that reject what is published one by one, as many as there are consumers.
    fn rejecters(&self) -> Result<Vec<Consumer>, SessionError> {
        let open = |number| {
            let name = |queue| self.topology.queue_before(queue);
            let ack_every = Some(NonZeroU32::MIN);
            let order = consumer::Order { rejects: true, ack_every, ..self.order(number) };
            self.consumer(name, order)
        };
        (0..self.load.consumers).filter(|_| self.load.reject).map(open).collect()
    }

    fn order(&self, number: u16) -> consumer::Order {
        consumer::Order {
            queues: self.load.queues_of_consumer(number),
            publishers: self.load.publishers,
            ack_every: None,
            rejects: false,
            rate: None,
            checked: self.load.is_checked(),
        }
    }

    fn consumer(
        &self,
        name: impl Fn(u16) -> String,
        order: consumer::Order,
    ) -> Result<Consumer, SessionError> {
        let mut session = self.session()?;
        let no_ack = order.ack_every.is_none();
        if !no_ack && self.load.prefetch > 0 {
            session.prefetch(self.load.prefetch)?;
        }
        for (slot, queue) in order.queues.iter().enumerate() {
            session.consume(&name(*queue), slot, no_ack)?;
        }
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
