//! From frames to channels: what each frame is, whose it is, and what is collected before it.
//!
//! Called by the connection's task for every whole frame. Publishes and settlements are collected
//! and carried out in batches; any other method carries out first what came before it, so a client
//! sees the effects of its methods in the order it sent them. Stays true: publishes and
//! settlements are never both collected at once.

use std::sync::Arc;

use bytes::Bytes;
use leveret_protocol::content::ContentHeader;
use leveret_protocol::error::{DecodeError, Snippet};
use leveret_protocol::frame::{Frame, FrameKind};
use leveret_protocol::methods::{Method, channel};
use leveret_storage::messages::Ticket;
use smallvec::SmallVec;
use tracing::warn;

use super::channel_table::{ChannelTable, Lookup};
use super::close::{self, Failure};
use super::session::Session;
use crate::channel::publish::method_in_content;
use crate::channel::settle::SettleRequest;
use crate::channel::{Answer, Channel};
use crate::error::{AmqpError, ConnectionError, FailingMethod};
use crate::persistence::Durable;
use crate::queue::Queue;

/// What is to be done after a frame.
#[derive(Debug)]
pub enum Step {
    /// Go on.
    Next,
    /// Send these frames once the change is on disk, before anything else is read.
    Once(Durable, Vec<u8>),
    /// The client closed the connection: answer, and end.
    ClientClosed,
    /// The client may not publish now: look at this frame again later.
    Park,
    /// Look at this frame again when the queue's next message has been read.
    AfterRead(Arc<Queue>),
}

/// The channels of a connection and what is collected for them.
#[derive(Debug)]
pub struct Dispatch {
    /// What the channels share.
    pub session: Session,
    channels: ChannelTable,
    /// The channel with noted settlements.
    settling: Option<u16>,
    gated: SmallVec<[Arc<Queue>; 1]>,
    /// Channels with publishes that wait to be durable.
    awaiting: SmallVec<[u16; 4]>,
}

impl Dispatch {
    /// For a connection that negotiated `channel_max` channels.
    pub fn new(session: Session, channel_max: u16) -> Self {
        let channels = ChannelTable::new(channel_max);
        Self {
            session,
            channels,
            settling: None,
            gated: SmallVec::new(),
            awaiting: SmallVec::new(),
        }
    }

    /// Handles one frame.
    pub fn frame(&mut self, frame: Frame<'_>) -> Result<Step, Failure> {
        let Frame { kind, channel, payload } = frame;
        match kind {
            FrameKind::Method => {
                let method = Method::decode(payload);
                let method = method.map_err(|error| undecodable(channel, error))?;
                let failing =
                    FailingMethod { class_id: method.class_id(), method_id: method.method_id() };
                let mut result = self.method(channel, &method);
                if let Err(Trouble::Earlier(failure)) = &result
                    && let AmqpError::Channel(error) = &failure.error
                {
                    // Another channel's settlements failed, before this method did anything.
                    self.close_channel(failure, error);
                    result = self.method(channel, &method);
                }
                result.map_err(|trouble| match trouble {
                    Trouble::Here(error) => Failure::of_method(channel, error, failing),
                    Trouble::Earlier(failure) => failure,
                })
            }
            FrameKind::Header | FrameKind::Body if channel == 0 => Err(misplaced(kind, payload)),
            FrameKind::Header => self.content(channel, |channel, session| {
                channel.content_header(session, &ContentHeader::decode(payload)?)
            }),
            FrameKind::Body => {
                self.content(channel, |channel, session| channel.content_body(session, payload))
            }
            FrameKind::Heartbeat if channel != 0 => Err(misplaced(kind, payload)),
            FrameKind::Heartbeat => Ok(Step::Next),
        }
    }

    /// Handles a body frame that need not be copied.
    pub fn large_body(&mut self, channel: u16, part: Bytes) -> Result<Step, Failure> {
        self.content(channel, |channel, session| channel.large_content_body(session, part))
    }

    fn content(
        &mut self,
        number: u16,
        take: impl FnOnce(&mut Channel, &mut Session) -> Result<(), AmqpError>,
    ) -> Result<Step, Failure> {
        match self.channels.get(number) {
            Lookup::Open(channel) => {
                // Without a basic.publish before it, the frame is no method's.
                let expected = !channel.assembly().expects_method();
                let failing = if expected { PUBLISH } else { FailingMethod::default() };
                take(channel, &mut self.session)
                    .map(|()| Step::Next)
                    .map_err(|error| Failure::of_method(number, error, failing))
            }
            Lookup::Closing => Ok(Step::Next),
            Lookup::Unknown => Err(Failure::of_frame(number, expected_channel_open())),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes its usual way")]
    fn method(&mut self, number: u16, method: &Method<'_>) -> Result<Step, Trouble> {
        if number == 0 {
            self.finish_batch()?;
            return self.connection_method(method).map_err(Trouble::from);
        }
        let channel = match self.channels.get(number) {
            Lookup::Open(channel) => channel,
            Lookup::Closing => return Ok(self.while_closing(number, method)),
            Lookup::Unknown => {
                self.finish_batch()?;
                return self.open_channel(number, method);
            }
        };
        if !channel.assembly().expects_method() {
            let error = method_in_content(channel.assembly());
            return Err(Trouble::Earlier(Failure::of_method(number, error, PUBLISH)));
        }
        match method {
            Method::BasicPublish(publish) => {
                if self.session.must_park(channel.confirms_publishes()) {
                    return Ok(Step::Park);
                }
                if self.settling.is_some() {
                    self.settle_noted()?;
                }
                self.session.note_published();
                if let Some(channel) = self.channels.open(number) {
                    channel.basic_publish(publish)?;
                }
                Ok(Step::Next)
            }
            Method::BasicAck(ack) => self.note(number, SettleRequest::ack(ack)),
            Method::BasicNack(nack) => self.note(number, SettleRequest::nack(nack)),
            Method::BasicReject(reject) => self.note(number, SettleRequest::reject(reject)),
            other => self.rare_method(number, other),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes its usual way")]
    fn rare_method(&mut self, number: u16, method: &Method<'_>) -> Result<Step, Trouble> {
        self.finish_batch()?;
        let Some(channel) = self.channels.open(number) else { return Ok(Step::Next) };
        match method {
            Method::ChannelOpen(_) => {
                let text = "second 'channel.open' seen".to_owned();
                Err(Trouble::Here(ConnectionError::Channel(text).into()))
            }
            Method::ChannelClose(_) => {
                self.end_channel(number);
                self.session.reply(number, &channel::CloseOk {});
                Ok(Step::Next)
            }
            // Nothing to close: RabbitMQ ignores it, too.
            Method::ChannelCloseOk(_) => Ok(Step::Next),
            other => match channel.handle(&mut self.session, other)? {
                Answer::Given => Ok(Step::Next),
                Answer::Once { durable, frames } if durable.is_now() => {
                    self.session.send(&frames);
                    Ok(Step::Next)
                }
                Answer::Once { durable, frames } => Ok(Step::Once(durable, frames)),
                Answer::AfterRead(queue) => Ok(Step::AfterRead(queue)),
            },
        }
    }

    /// Notes a settlement, after what was published before it is handed over.
    fn note(&mut self, number: u16, request: SettleRequest) -> Result<Step, Trouble> {
        if self.settling.is_some_and(|other| other != number) {
            self.settle_noted()?;
        }
        self.hand_over();
        if let Some(channel) = self.channels.open(number) {
            channel.note(request);
            self.settling = Some(number);
        }
        Ok(Step::Next)
    }

    fn hand_over(&mut self) {
        if self.session.routes.is_dirty() {
            let gated = self.session.routes.hand_over(&mut self.session.effects);
            self.gated.extend(gated);
        }
    }

    fn settle_noted(&mut self) -> Result<(), Trouble> {
        let Some(number) = self.settling.take() else { return Ok(()) };
        let Some(channel) = self.channels.open(number) else { return Ok(()) };
        channel
            .carry_out(&mut self.session)
            .map_err(|(error, method)| Trouble::Earlier(Failure::of_method(number, error, method)))
    }

    /// Carries out everything collected: messages into queues, settlements, what is to be stored,
    /// confirms.
    fn finish_batch(&mut self) -> Result<(), Trouble> {
        self.hand_over();
        let settled = self.settle_noted();
        self.store();
        settled
    }

    /// Stores what is to be stored, and tells the publishers or lets them wait for it.
    fn store(&mut self) {
        let Session { effects, broker, .. } = &mut self.session;
        let ticket = effects.store(broker.messages());
        for number in self.session.take_unconfirmed() {
            let Some(channel) = self.channels.open(number) else { continue };
            if channel.handed_over(ticket) && !self.awaiting.contains(&number) {
                self.awaiting.push(number);
            }
            self.confirm(number);
        }
    }

    fn confirm(&mut self, number: u16) {
        let Some(channel) = self.channels.open(number) else { return };
        while let Some(confirm) = channel.next_confirm() {
            self.session.confirm(number, confirm);
        }
    }

    /// Whether publishes wait to be durable.
    pub fn awaits_durability(&self) -> bool {
        !self.awaiting.is_empty()
    }

    /// Confirms what became durable.
    pub fn durable(&mut self, ticket: Ticket) {
        for number in std::mem::take(&mut self.awaiting) {
            let Some(channel) = self.channels.open(number) else { continue };
            if channel.durable(ticket) {
                self.awaiting.push(number);
            }
            self.confirm(number);
        }
        self.session.handle.flush();
    }

    /// The end of a read: carries out everything collected and flushes every touched connection.
    pub fn finish_read(&mut self) -> Result<(), Failure> {
        let result = self.finish_batch().map_err(|trouble| match trouble {
            Trouble::Here(error) => Failure::of_frame(0, error),
            Trouble::Earlier(failure) => failure,
        });
        self.flush();
        result
    }

    /// Writes what this connection and those it delivered to have pending.
    pub fn flush(&mut self) {
        let Session { effects, broker, .. } = &mut self.session;
        effects.carry_out(broker.messages());
        self.session.handle.flush();
    }

    /// The queues whose publishers should wait a moment.
    pub fn take_gated(&mut self) -> SmallVec<[Arc<Queue>; 1]> {
        std::mem::take(&mut self.gated)
    }

    /// Whether waiting for a queue could wait for this very connection.
    pub fn consumes(&self) -> bool {
        self.channels.iter().any(Channel::has_consumers) || self.session.has_unacked()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes its usual way")]
    fn connection_method(&self, method: &Method<'_>) -> Result<Step, AmqpError> {
        match method {
            Method::ConnectionClose(_) => Ok(Step::ClientClosed),
            Method::ConnectionUpdateSecret(_) => {
                self.session.reply(0, &leveret_protocol::methods::connection::UpdateSecretOk {});
                Ok(Step::Next)
            }
            _ => Err(unexpected_on_channel_0().into()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes its usual way")]
    fn open_channel(&mut self, number: u16, method: &Method<'_>) -> Result<Step, Trouble> {
        match method {
            Method::ChannelOpen(_) => {
                if let Err(error) = self.channels.assert_free(number) {
                    return Err(Trouble::Earlier(Failure::of_frame(number, error)));
                }
                let slot = self.session.handle.outbox().open_channel(number);
                self.channels.insert(Channel::new(number, slot));
                self.session.reply(number, &channel::OpenOk {});
                Ok(Step::Next)
            }
            _ => Err(expected_channel_open().into()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes its usual way")]
    /// A channel that the server closed listens only for the end of the closing.
    fn while_closing(&mut self, number: u16, method: &Method<'_>) -> Step {
        match method {
            Method::ChannelCloseOk(_) => {
                self.channels.remove(number);
            }
            Method::ChannelClose(_) => self.session.reply(number, &channel::CloseOk {}),
            _ => {}
        }
        Step::Next
    }

    fn end_channel(&mut self, number: u16) {
        if let Some(mut channel) = self.channels.remove(number) {
            channel.end(&mut self.session);
        }
    }

    /// Closes one channel because of an error on it.
    pub fn close_channel(&mut self, failure: &Failure, error: &crate::error::ChannelError) {
        if self.settling == Some(failure.channel) {
            self.settling = None;
        }
        self.hand_over();
        self.store();
        if let Some(mut channel) = self.channels.start_closing(failure.channel) {
            channel.end(&mut self.session);
        }
        let mut outbox = self.session.handle.outbox();
        let text = close::close_channel(outbox.frames(), failure.channel, error, failure.method);
        drop(outbox);
        warn!(
            channel = failure.channel,
            vhost = self.session.vhost.name(),
            "channel closed: {text}"
        );
    }

    /// The queue of a consumer was deleted.
    pub fn consumer_cancelled(&mut self, number: u16, consumer_tag: &str) {
        if let Some(channel) = self.channels.open(number) {
            channel.consumer_cancelled(&mut self.session, consumer_tag);
        }
    }

    /// There is room for deliveries again: all consumers go on.
    pub fn resume_consumers(&mut self) {
        for channel in self.channels.iter() {
            let consumers: Vec<_> = channel.consumer_keys().collect();
            for (queue, key) in consumers {
                queue.resume(key, &mut self.session.effects);
            }
        }
    }

    /// Ends everything the connection has: what it published is handed over, what it has not
    /// settled goes back, its consumers and its exclusive queues go.
    pub fn end(&mut self) {
        self.hand_over();
        for mut channel in self.channels.drain() {
            channel.end(&mut self.session);
        }
        self.session.delete_exclusive_queues();
        let Session { effects, broker, .. } = &mut self.session;
        effects.carry_out(broker.messages());
    }

    /// Gives back memory that an idle connection does not need.
    pub fn release_memory(&mut self) {
        self.session.routes.release_memory();
        self.session.handle.outbox().release_memory();
    }
}

/// An error of the method at hand, or of settlements that were noted before it.
enum Trouble {
    Here(AmqpError),
    Earlier(Failure),
}

impl<E: Into<AmqpError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Here(error.into())
    }
}

const PUBLISH: FailingMethod = FailingMethod { class_id: 60, method_id: 40 };

/// Some errors of decoding name the method, as RabbitMQ does.
fn undecodable(channel: u16, error: DecodeError) -> Failure {
    let (class_id, method_id) = error.method().unwrap_or_default();
    let method = FailingMethod { class_id, method_id };
    Failure::of_method(channel, ConnectionError::from(error), method)
}

fn misplaced(kind: FrameKind, payload: &[u8]) -> Failure {
    let frame_type = kind.octet();
    let error = DecodeError::MisplacedFrame { frame_type, payload: Snippet::new(payload) };
    Failure::of_frame(0, error)
}

fn expected_channel_open() -> ConnectionError {
    ConnectionError::Channel("expected 'channel.open'".to_owned())
}

fn unexpected_on_channel_0() -> ConnectionError {
    ConnectionError::Channel("unexpected method in connection state running".to_owned())
}
