//! From frames to channels: what each frame is, whose it is, and what is collected before it.
//!
//! Files in the order of a frame's way: this dispatch, `channel_table`, `channel` (one file a
//! concern), what the channels share (`context`, with `routes` and `settlements`), what management
//! does with the same checks (`declaring`), and what is left
//! to be done (`step`) or went wrong (`close`, the only place that writes close frames).
//!
//! Called by the connection's task for every whole frame. Publishes and settlements are collected
//! and carried out in batches; any other method carries out first what came before it, so a client
//! sees the effects of its methods in the order it sent them. Stays true: publishes and
//! settlements are never both collected at once.

mod answers;
pub(crate) mod channel;
mod collected;
pub(crate) mod channel_table;
pub(crate) mod close;
pub(crate) mod context;
pub(crate) mod declaring;
pub(crate) mod pacing;
pub(crate) mod resume;
pub(crate) mod routes;
pub(crate) mod settlements;
pub(crate) mod step;
mod telling;
mod unfinished;

#[cfg(test)]
mod answers_test;
#[cfg(test)]
mod settlements_model;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use leveret_protocol::content::ContentHeader;
use leveret_protocol::error::{DecodeError, Snippet};
use leveret_protocol::frame::{Frame, FrameKind};
use leveret_protocol::methods::{Method, basic, channel as channel_class};
use leveret_storage::StorageError;
use leveret_storage::messages::Ticket;
use smallvec::SmallVec;

use self::channel::Channel;
use self::channel::assembly::method_in_content;
use self::channel::publish::WholePublish;
use self::channel::settle::SettleRequest;
use self::channel_table::{ChannelTable, Lookup};
use self::context::Session;
use self::step::Step;
use crate::error::{AmqpError, ChannelError, ConnectionError, FailingMethod, Failure};
use crate::outgoing::mailbox::{CancelledConsumer, ChannelTruth, LapsedDeliveries};
use crate::queue::Queue;

/// What became of a publish of which all frames are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is done.
    Yes,
    /// The client may not publish now: look at it again later.
    Parked,
    /// It has to be found out whether the user may publish it: then it goes on by itself.
    Asking,
    /// Its frames have to be handled one by one.
    No,
}

/// The channels of a connection and what is collected for them.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// What the channels share.
    pub session: Session,
    channels: ChannelTable,
    /// The channel with noted settlements.
    settling: Option<u16>,
    /// They were too many for one step.
    interrupted: bool,
    /// Channels whose end takes several steps.
    ending: VecDeque<EndingChannel>,
    gated: SmallVec<[Arc<Queue>; 1]>,
    /// Work done since the last end of a read, see `work`.
    worked: usize,
    /// Channels with publishes that wait to be durable.
    awaiting: SmallVec<[u16; 4]>,
    /// The channel whose message waits until it is known whether the user may publish it.
    unpublished: Option<u16>,
    /// When what was stored last is durable: confirms that wait for an answer wait for this, too.
    unconfirmed_until: Option<Ticket>,
}

/// A channel on its way out.
#[derive(Debug)]
struct EndingChannel {
    channel: Box<Channel>,
    /// The consumers that it had.
    consumers: usize,
    /// What tells of it.
    frames: Vec<u8>,
}

impl EndingChannel {
    fn new(channel: Box<Channel>, frames: Vec<u8>) -> Self {
        Self { consumers: channel.consumer_count(), channel, frames }
    }
}

impl Dispatch {
    /// Its open channels as they are now, by their numbers.
    pub(crate) fn channels_truth(&self) -> Vec<ChannelTruth> {
        let mut all: Vec<_> =
            self.channels.iter().map(|channel| channel.truth(&self.session)).collect();
        all.sort_by_key(|channel| channel.number);
        all
    }

    /// For a connection that negotiated `channel_max` channels.
    pub(crate) fn new(session: Session, channel_max: u16) -> Self {
        let channels = ChannelTable::new(channel_max);
        Self {
            session,
            channels,
            settling: None,
            interrupted: false,
            ending: VecDeque::new(),
            gated: SmallVec::new(),
            worked: 0,
            awaiting: SmallVec::new(),
            unpublished: None,
            unconfirmed_until: None,
        }
    }

    /// Whether answers wait to be durable.
    pub(crate) fn is_answering(&self) -> bool {
        self.session.answers.are_waiting()
    }

    /// Waits for the next answers; for ever when there are none. Cancel safe.
    ///
    /// # Errors
    /// What they say could not be stored.
    pub(crate) async fn next_answers(&mut self) -> Result<Vec<u8>, StorageError> {
        self.session.answers.next().await
    }

    /// Sends answers, and behind the last of them the confirms that waited.
    pub(crate) fn answer(&mut self, frames: &[u8]) {
        self.session.send(frames);
        if !self.is_answering() {
            self.store();
        }
    }

    /// Whether a frame has to wait until the answers before it are out.
    pub(crate) fn is_behind(&self, frame: &Frame<'_>) -> bool {
        self.is_answering()
            && match frame.kind {
                FrameKind::Method => {
                    !changes_topology(frame.payload) || self.session.answers.are_full()
                }
                FrameKind::Header | FrameKind::Body => true,
                FrameKind::Heartbeat => false,
            }
    }

    /// Handles one frame.
    pub(crate) fn frame(&mut self, frame: Frame<'_>) -> Result<Step, Failure> {
        let Frame { kind, channel, payload } = frame;
        if self.is_unfinished() && !self.go_on()? {
            return Ok(if self.is_asking() { Step::AskFirst } else { Step::Again });
        }
        match kind {
            FrameKind::Method => {
                if let Some(arguments) = payload.strip_prefix(&ACK)
                    && let Ok(ack) = basic::Ack::decode(arguments)
                    && self.note_ack(channel, &ack)?
                {
                    return Ok(Step::Next);
                }
                let method = Method::decode(payload);
                let method = method.map_err(|error| undecodable(channel, error))?;
                if !self.make_way(channel, &method)? {
                    return Ok(Step::Again);
                }
                self.method(channel, &method)
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

    /// Notes the method that comes most often, without the detour by all there are. False when it
    /// has to be looked at more closely.
    fn note_ack(&mut self, number: u16, ack: &basic::Ack) -> Result<bool, Failure> {
        if !self.make_way_for_settlement(number)? {
            return Ok(false);
        }
        let Lookup::Open(channel) = self.channels.get(number) else { return Ok(false) };
        if !channel.assembly().expects_method() {
            return Ok(false);
        }
        channel.note(SettleRequest::ack(ack));
        self.settling = Some(number);
        Ok(true)
    }

    /// Handles a small publish of which all frames are there, as if they came one by one.
    pub(crate) fn whole_publish(
        &mut self,
        number: u16,
        whole: &WholePublish<'_>,
    ) -> Result<Taken, Failure> {
        if self.settling.is_some() || self.is_unfinished() {
            let settled = self.settle_noted();
            // Otherwise there is more to be done: its frames are looked at one by one, later.
            if !self.close_if_failed(settled)? || self.is_unfinished() {
                return Ok(Taken::No);
            }
        }
        let Lookup::Open(channel) = self.channels.get(number) else { return Ok(Taken::No) };
        if !channel.assembly().expects_method() {
            return Ok(Taken::No);
        }
        if self.session.must_park(channel.confirms_publishes()) {
            return Ok(Taken::Parked);
        }
        self.session.note_published();
        match channel.publish_whole(&mut self.session, whole) {
            Ok(true) => Ok(Taken::Yes),
            Ok(false) => Ok(Taken::No),
            Err(error) => self.unpublished(number, error).map(|_| Taken::Asking),
        }
    }

    /// Handles a body frame that need not be copied.
    pub(crate) fn large_body(&mut self, channel: u16, part: Bytes) -> Result<Step, Failure> {
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
                match take(channel, &mut self.session) {
                    Ok(()) => Ok(Step::Next),
                    Err(error) if expected => self.unpublished(number, error),
                    Err(error) => Err(Failure { channel: number, error, method: failing }),
                }
            }
            Lookup::Closing => Ok(Step::Next),
            Lookup::Unknown => Err(Failure::of_frame(number, expected_channel_open())),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes its usual way")]
    fn method(&mut self, number: u16, method: &Method<'_>) -> Result<Step, Failure> {
        let here = |error| Failure::of_method(number, error, method);
        if number == 0 {
            let done = self.connection_method(method);
            return self.unless_asking(done).map_err(here);
        }
        let channel = match self.channels.get(number) {
            Lookup::Open(channel) => channel,
            Lookup::Closing => return Ok(self.while_closing(number, method)),
            Lookup::Unknown => return self.open_channel(number, method),
        };
        if !channel.assembly().expects_method() {
            let error = method_in_content(channel.assembly()).into();
            return Err(Failure { channel: number, error, method: PUBLISH });
        }
        match method {
            Method::BasicPublish(publish) => {
                if self.session.must_park(channel.confirms_publishes()) {
                    return Ok(Step::Park);
                }
                self.session.note_published();
                channel.basic_publish(publish).map_err(here)?;
                return Ok(Step::Next);
            }
            Method::BasicAck(ack) => channel.note(SettleRequest::ack(ack)),
            Method::BasicNack(nack) => channel.note(SettleRequest::nack(nack)),
            Method::BasicReject(reject) => channel.note(SettleRequest::reject(reject)),
            other => {
                let done = self.rare_method(number, other);
                return self.unless_asking(done).map_err(here);
            }
        }
        self.settling = Some(number);
        Ok(Step::Next)
    }

    /// What a method was refused while it is not known what the user may do is no error: it comes
    /// again.
    fn unless_asking(&self, done: Result<Step, AmqpError>) -> Result<Step, AmqpError> {
        if done.is_err() && self.is_asking() {
            return Ok(Step::AskFirst);
        }
        self.session.rights().method_done();
        done
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes its usual way")]
    fn rare_method(&mut self, number: u16, method: &Method<'_>) -> Result<Step, AmqpError> {
        let _acting = self.session.acting(method);
        match method {
            Method::ChannelOpen(_) => {
                let text = "second 'channel.open' seen".to_owned();
                Err(ConnectionError::Channel(text).into())
            }
            Method::ChannelClose(_) => {
                let Some(channel) = self.channels.open(number) else { return Ok(Step::Next) };
                let consumers = channel.consumer_count();
                if !channel.end_step(&mut self.session) {
                    return Ok(Step::Again);
                }
                self.channels.remove(number);
                self.session.tell_of_channels_end(number, consumers);
                self.session.reply(number, &channel_class::CloseOk {});
                Ok(Step::Next)
            }
            // Nothing to close: RabbitMQ ignores it, too.
            Method::ChannelCloseOk(_) => Ok(Step::Next),
            other => {
                let Some(channel) = self.channels.open(number) else { return Ok(Step::Next) };
                self.worked += METHOD_WORK;
                let step = channel.handle(&mut self.session, other);
                self.worked += std::mem::take(&mut self.session.caught_up);
                match step? {
                    Step::Once(durable, frames) => {
                        self.answer_once(durable, frames);
                        Ok(Step::Next)
                    }
                    Step::Next if self.session.handle.outbox().unsent() > REPLY_BYTES_MAX => {
                        Ok(Step::Yield)
                    }
                    step => Ok(step),
                }
            }
        }
    }

    /// Whether waiting for a queue could wait for this very connection.
    pub(crate) fn consumes(&self) -> bool {
        self.session.has_consumers() || self.session.has_unacked()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes its usual way")]
    fn connection_method(&mut self, method: &Method<'_>) -> Result<Step, AmqpError> {
        match method {
            Method::ConnectionClose(_) => Ok(Step::ClientClosed),
            Method::ConnectionUpdateSecret(update) => {
                // Where there is no token the secret counts for nothing, as on RabbitMQ.
                if let Some(token) = self.session.rights().token() {
                    let renewed = token.renew(update.new_secret).unwrap_or(Err(String::new()));
                    renewed.map_err(ConnectionError::NotAllowed)?;
                    self.stop_forbidden();
                }
                self.session.reply(0, &leveret_protocol::methods::connection::UpdateSecretOk {});
                Ok(Step::Next)
            }
            _ => Err(unexpected_on_channel_0().into()),
        }
    }

    /// RabbitMQ: consumers that a new token does not permit are cancelled.
    fn stop_forbidden(&mut self) {
        let numbers: Vec<u16> = self.channels.iter().map(Channel::number).collect();
        for number in numbers {
            let Some(channel) = self.channels.open(number) else { continue };
            for (durable, frames) in channel.stop_forbidden(&mut self.session) {
                self.answer_once(durable, frames);
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else opens a channel")]
    fn open_channel(&mut self, number: u16, method: &Method<'_>) -> Result<Step, Failure> {
        match method {
            Method::ChannelOpen(_) => {
                let free = self.channels.assert_free(number);
                free.map_err(|error| Failure::of_frame(number, error))?;
                // RabbitMQ names no method where a limit is reached.
                let seat = self.session.open_channel();
                let seat = seat.map_err(|error| Failure::of_frame(number, error))?;
                let of_deliveries = self.session.open_slot(number);
                self.channels.insert(Channel::new(number, of_deliveries, seat));
                self.session.tell_of_channel(number);
                self.session.reply(number, &channel_class::OpenOk {});
                Ok(Step::Next)
            }
            _ => Err(Failure::of_method(number, expected_channel_open(), method)),
        }
    }

    /// A channel that the server closed listens only for the end of the closing.
    #[expect(clippy::wildcard_enum_match_arm, reason = "everything else is ignored")]
    fn while_closing(&mut self, number: u16, method: &Method<'_>) -> Step {
        match method {
            Method::ChannelCloseOk(_) => {
                self.channels.remove(number);
            }
            Method::ChannelClose(_) => self.session.reply(number, &channel_class::CloseOk {}),
            _ => {}
        }
        Step::Next
    }

    /// Closes one channel because of an error on it.
    pub(crate) fn close_channel(&mut self, failure: &Failure, error: &ChannelError) {
        if self.settling == Some(failure.channel) {
            self.settling = None;
        }
        self.hand_over();
        self.store();
        let mut frames = Vec::new();
        let text = close::close_channel(&mut frames, failure.channel, error, failure.method);
        match self.channels.start_closing(failure.channel) {
            Some(channel) => self.ending.push_back(EndingChannel::new(channel, frames)),
            None => self.session.send(&frames),
        }
        self.end_channels();
        self.session.say_closed(failure.channel, error, &text);
    }

    /// The queue of a consumer was deleted, or it is to go.
    pub(crate) fn consumer_cancelled(&mut self, cancelled: &CancelledConsumer) {
        let CancelledConsumer { channel, consumer_tag, by_hand } = cancelled;
        let Some(channel) = self.channels.open(*channel) else { return };
        if !by_hand {
            channel.consumer_cancelled(&self.session, consumer_tag);
        } else if let Some((durable, frames)) =
            channel.consumer_stopped(&mut self.session, consumer_tag)
        {
            self.answer_once(durable, frames);
        }
    }

    /// Deliveries were not settled in time and went back to their queue.
    pub(crate) fn deliveries_lapsed(&mut self, deliveries: &LapsedDeliveries) {
        let number = deliveries.channel;
        let Some(channel) = self.channels.open(number) else { return };
        if let Err(error) = channel.deliveries_lapsed(&mut self.session, deliveries) {
            let failure = Failure::of_frame(number, error.clone());
            self.close_channel(&failure, &error);
        }
    }

    /// Gives back memory that an idle connection does not need.
    pub(crate) fn release_memory(&mut self) {
        self.session.routes.release_memory();
        self.session.handle.outbox().release_memory();
    }
}

/// What a method costs that is carried out at once, in messages put into queues: many do much more
/// than that.
const METHOD_WORK: usize = 32;
/// basic.ack is class 60, method 80.
const ACK: [u8; 4] = [0, 60, 0, 80];
/// A client that does not read its replies is not read from while this many bytes wait for it.
pub(crate) const REPLY_BYTES_MAX: usize = 16 << 20;
const PUBLISH: FailingMethod = FailingMethod::of(60, 40);

/// Whether a method frame declares, deletes, binds or unbinds, by its class and method ids.
fn changes_topology(payload: &[u8]) -> bool {
    const PURGE: u8 = 30;
    match payload {
        [0, 40, ..] => true,
        [0, 50, 0, method, ..] => *method != PURGE,
        _ => false,
    }
}

/// Some errors of decoding name the method, as RabbitMQ does.
fn undecodable(channel: u16, error: DecodeError) -> Failure {
    let (class_id, method_id) = error.method().unwrap_or_default();
    let method = FailingMethod::of(class_id, method_id);
    Failure { channel, error: ConnectionError::from(error).into(), method }
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
