//! The methods a client sends, built by name, and the numbers of those it is sent.
//!
//! One module a class, as in the specification. A [`Method`] goes to channel 1 unless [`Method::on`]
//! says otherwise, has all flags off and an empty table.

mod classes;

pub use classes::{basic, channel, confirm, connection, exchange, queue, tx};

use super::content::{FRAME_METHOD, frame};
use super::table::{Table, Value};
use super::wire::ArgumentWriter;

/// Class id and method id.
pub type MethodId = (u16, u16);

/// A bit among a method's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum Flag {
    Active,
    AutoDelete,
    Durable,
    Exclusive,
    Global,
    IfEmpty,
    IfUnused,
    Immediate,
    Internal,
    Mandatory,
    Multiple,
    NoAck,
    NoLocal,
    NoWait,
    Passive,
    Requeue,
}

/// A method on its way to the broker.
#[derive(Debug, Clone)]
pub struct Method {
    /// Class id and method id.
    pub id: MethodId,
    /// The channel it goes to.
    pub channel: u16,
    arguments: ArgumentWriter,
    flags: Option<u8>,
    table: Option<Table>,
}

impl Method {
    /// A method of which only the plain arguments are known; for methods that no builder makes.
    #[must_use]
    pub fn new(id: MethodId, arguments: ArgumentWriter) -> Self {
        Self { id, channel: 1, arguments, flags: None, table: None }
    }

    fn flagged(mut self) -> Self {
        self.flags = Some(0);
        self
    }

    fn tabled(mut self) -> Self {
        self.table = Some(Table::new());
        self
    }

    /// The same method on another channel.
    #[must_use]
    pub fn on(mut self, channel: u16) -> Self {
        self.channel = channel;
        self
    }

    /// Sets a bit; panics when the method has no such bit.
    #[must_use]
    pub fn with(mut self, flag: Flag) -> Self {
        let position = position_of(flag, self.id);
        let flags = self.flags.as_mut().expect("a method with a flag has a flags octet");
        *flags |= 1 << position;
        self
    }

    /// Adds an entry to the arguments table.
    #[must_use]
    pub fn arg(mut self, name: &str, value: impl Into<Value>) -> Self {
        let table = self.table.take().expect("the method has an arguments table");
        self.table = Some(table.with(name, value));
        self
    }

    /// The whole frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        frame(FRAME_METHOD, self.channel, &self.payload())
    }

    /// The payload of the method frame.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut out = ArgumentWriter::default().short(self.id.0).short(self.id.1);
        out = out.raw(&self.arguments.clone().into_bytes());
        if let Some(flags) = self.flags {
            out = out.octet(flags);
        }
        if let Some(table) = &self.table {
            out = out.raw(&table.encode());
        }
        out.into_bytes()
    }
}

/// Where the specification puts `flag` in the flags octet of the method `id`.
fn position_of(flag: Flag, id: MethodId) -> usize {
    let order: &[Flag] = match id {
        channel::FLOW | channel::FLOW_OK => &[Flag::Active],
        exchange::DECLARE => {
            &[Flag::Passive, Flag::Durable, Flag::AutoDelete, Flag::Internal, Flag::NoWait]
        }
        exchange::DELETE => &[Flag::IfUnused, Flag::NoWait],
        exchange::BIND | exchange::UNBIND | queue::BIND | queue::PURGE => &[Flag::NoWait],
        queue::DECLARE => {
            &[Flag::Passive, Flag::Durable, Flag::Exclusive, Flag::AutoDelete, Flag::NoWait]
        }
        queue::DELETE => &[Flag::IfUnused, Flag::IfEmpty, Flag::NoWait],
        basic::QOS => &[Flag::Global],
        basic::CONSUME => &[Flag::NoLocal, Flag::NoAck, Flag::Exclusive, Flag::NoWait],
        basic::CANCEL | confirm::SELECT => &[Flag::NoWait],
        basic::PUBLISH => &[Flag::Mandatory, Flag::Immediate],
        basic::GET => &[Flag::NoAck],
        basic::ACK => &[Flag::Multiple],
        basic::NACK => &[Flag::Multiple, Flag::Requeue],
        basic::REJECT | basic::RECOVER | basic::RECOVER_ASYNC => &[Flag::Requeue],
        other => panic!("the method {other:?} has no flags"),
    };
    order.iter().position(|known| *known == flag).expect("the method has this flag")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_ids_arguments_flags_and_table() {
        let declare = queue::declare("q").with(Flag::Durable).with(Flag::NoWait).arg("a", true);
        let payload = b"\0\x32\0\x0a\0\0\x01q\x12\0\0\0\x04\x01at\x01";
        assert_eq!(declare.payload(), payload);
        assert_eq!(basic::ack(7).payload(), b"\0\x3c\0\x50\0\0\0\0\0\0\0\x07\0");
    }
}
