//! What the broker says, read into structs with names.

use super::content::Properties;
use super::method::{MethodId, basic, channel, confirm, connection, exchange, queue, tx};
use super::table::Table;
use super::wire::ArgumentReader;

/// The content that follows deliver, get-ok and return.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// Properties of the message.
    pub properties: Properties,
    /// All its body.
    pub body: Vec<u8>,
}

/// A method from the broker, with its content if it has one.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The channel it came on.
    pub channel: u16,
    /// Class id and method id.
    pub id: MethodId,
    /// The arguments, not yet read.
    pub arguments: Vec<u8>,
    /// What followed it.
    pub content: Option<Content>,
}

/// The arguments of connection.close and channel.close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Reply code.
    pub code: u16,
    /// Reply text.
    pub text: String,
    /// The method that was at fault; 0, 0 when none was.
    pub cause: MethodId,
}

/// The arguments of basic.deliver, with the message.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub struct Delivery {
    pub channel: u16,
    pub consumer_tag: String,
    pub delivery_tag: u64,
    pub redelivered: bool,
    pub exchange: String,
    pub routing_key: String,
    pub content: Content,
}

/// The arguments of basic.get-ok, with the message.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub struct Fetched {
    pub delivery_tag: u64,
    pub redelivered: bool,
    pub exchange: String,
    pub routing_key: String,
    pub message_count: u32,
    pub content: Content,
}

/// The arguments of basic.return, with the message.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub struct Returned {
    pub code: u16,
    pub text: String,
    pub exchange: String,
    pub routing_key: String,
    pub content: Content,
}

/// The arguments of queue.declare-ok.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub struct Declared {
    pub queue: String,
    pub message_count: u32,
    pub consumer_count: u32,
}

/// The arguments of connection.tune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub struct Tune {
    pub channel_max: u16,
    pub frame_max: u32,
    pub heartbeat: u16,
}

/// The arguments of connection.start.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub struct Start {
    pub version: (u8, u8),
    pub server_properties: Table,
    pub mechanisms: String,
    pub locales: String,
}

/// basic.ack or basic.nack as the broker sends them to a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirm {
    /// False for a nack.
    pub acked: bool,
    /// The number of the publish.
    pub delivery_tag: u64,
    /// Whether all lower ones are meant too.
    pub multiple: bool,
}

impl Reply {
    fn read(&self, id: MethodId) -> ArgumentReader<'_> {
        assert_eq!(self.id, id, "expected {}, got {self}", name_of(id));
        ArgumentReader::new(&self.arguments)
    }

    fn content(&self) -> Content {
        self.content.clone().expect("this method comes with content")
    }

    /// Reads connection.close or channel.close.
    #[must_use]
    pub fn close(&self) -> Close {
        assert!(self.is_close(), "expected a close, got {self}");
        let mut input = ArgumentReader::new(&self.arguments);
        let (code, text) = (input.short(), input.short_string());
        Close { code, text, cause: (input.short(), input.short()) }
    }

    /// True of connection.close and channel.close.
    #[must_use]
    pub fn is_close(&self) -> bool {
        matches!(self.id, connection::CLOSE | channel::CLOSE)
    }

    /// True of what the broker says without being asked.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        matches!(
            self.id,
            basic::DELIVER
                | basic::RETURN
                | basic::ACK
                | basic::NACK
                | basic::CANCEL
                | connection::BLOCKED
                | connection::UNBLOCKED
        )
    }

    /// Reads basic.deliver.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        let mut input = self.read(basic::DELIVER);
        Delivery {
            channel: self.channel,
            consumer_tag: input.short_string(),
            delivery_tag: input.long_long(),
            redelivered: input.octet() != 0,
            exchange: input.short_string(),
            routing_key: input.short_string(),
            content: self.content(),
        }
    }

    /// Reads basic.get-ok.
    #[must_use]
    pub fn fetched(&self) -> Fetched {
        let mut input = self.read(basic::GET_OK);
        Fetched {
            delivery_tag: input.long_long(),
            redelivered: input.octet() != 0,
            exchange: input.short_string(),
            routing_key: input.short_string(),
            message_count: input.long(),
            content: self.content(),
        }
    }

    /// Reads basic.return.
    #[must_use]
    pub fn returned(&self) -> Returned {
        let mut input = self.read(basic::RETURN);
        Returned {
            code: input.short(),
            text: input.short_string(),
            exchange: input.short_string(),
            routing_key: input.short_string(),
            content: self.content(),
        }
    }

    /// Reads queue.declare-ok.
    #[must_use]
    pub fn declared(&self) -> Declared {
        let mut input = self.read(queue::DECLARE_OK);
        Declared {
            queue: input.short_string(),
            message_count: input.long(),
            consumer_count: input.long(),
        }
    }

    /// Reads the count of queue.purge-ok and queue.delete-ok.
    #[must_use]
    pub fn message_count(&self) -> u32 {
        assert!(matches!(self.id, queue::PURGE_OK | queue::DELETE_OK), "no count in {self}");
        ArgumentReader::new(&self.arguments).long()
    }

    /// Reads the consumer tag of consume-ok, cancel-ok and cancel.
    #[must_use]
    pub fn consumer_tag(&self) -> String {
        let tagged = [basic::CONSUME_OK, basic::CANCEL_OK, basic::CANCEL];
        assert!(tagged.contains(&self.id), "no consumer tag in {self}");
        ArgumentReader::new(&self.arguments).short_string()
    }

    /// Reads connection.tune.
    #[must_use]
    pub fn tune(&self) -> Tune {
        let mut input = self.read(connection::TUNE);
        Tune { channel_max: input.short(), frame_max: input.long(), heartbeat: input.short() }
    }

    /// Reads connection.start.
    #[must_use]
    pub fn start(&self) -> Start {
        let mut input = self.read(connection::START);
        Start {
            version: (input.octet(), input.octet()),
            server_properties: Table::read(&mut input),
            mechanisms: String::from_utf8_lossy(input.long_string()).into_owned(),
            locales: String::from_utf8_lossy(input.long_string()).into_owned(),
        }
    }

    /// Reads basic.ack or basic.nack.
    #[must_use]
    pub fn confirm(&self) -> Confirm {
        assert!(matches!(self.id, basic::ACK | basic::NACK), "expected a confirm, got {self}");
        let mut input = ArgumentReader::new(&self.arguments);
        Confirm {
            acked: self.id == basic::ACK,
            delivery_tag: input.long_long(),
            multiple: input.octet() & 1 != 0,
        }
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} on channel {}", name_of(self.id), self.channel)?;
        if self.is_close() { write!(out, " {:?}", self.close()) } else { Ok(()) }
    }
}

/// The name of a method the broker may send.
#[must_use]
pub fn name_of(id: MethodId) -> String {
    let name = match id {
        connection::START => "connection.start",
        connection::TUNE => "connection.tune",
        connection::OPEN_OK => "connection.open-ok",
        connection::CLOSE => "connection.close",
        connection::CLOSE_OK => "connection.close-ok",
        channel::OPEN_OK => "channel.open-ok",
        channel::FLOW_OK => "channel.flow-ok",
        channel::CLOSE => "channel.close",
        channel::CLOSE_OK => "channel.close-ok",
        exchange::DECLARE_OK => "exchange.declare-ok",
        exchange::DELETE_OK => "exchange.delete-ok",
        exchange::BIND_OK => "exchange.bind-ok",
        exchange::UNBIND_OK => "exchange.unbind-ok",
        queue::DECLARE_OK => "queue.declare-ok",
        queue::BIND_OK => "queue.bind-ok",
        queue::UNBIND_OK => "queue.unbind-ok",
        queue::PURGE_OK => "queue.purge-ok",
        queue::DELETE_OK => "queue.delete-ok",
        basic::QOS_OK => "basic.qos-ok",
        basic::CONSUME_OK => "basic.consume-ok",
        basic::CANCEL => "basic.cancel",
        basic::CANCEL_OK => "basic.cancel-ok",
        basic::RETURN => "basic.return",
        basic::DELIVER => "basic.deliver",
        basic::GET_OK => "basic.get-ok",
        basic::GET_EMPTY => "basic.get-empty",
        basic::ACK => "basic.ack",
        basic::NACK => "basic.nack",
        basic::RECOVER_OK => "basic.recover-ok",
        confirm::SELECT_OK => "confirm.select-ok",
        tx::SELECT_OK => "tx.select-ok",
        tx::COMMIT_OK => "tx.commit-ok",
        tx::ROLLBACK_OK => "tx.rollback-ok",
        (class, method) => return format!("method {class}.{method}"),
    };
    name.to_owned()
}
