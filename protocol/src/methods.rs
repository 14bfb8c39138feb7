//! All methods of AMQP 0-9-1 with RabbitMQ's extensions: 8 classes, 66
//! methods. Each is declared once, in its class's file; this file lists them
//! again only to give [`Method`] its variants, so that a `match` on it without
//! a wildcard covers the protocol.

#[macro_use]
mod table;

pub mod access;
pub mod basic;
pub mod channel;
pub mod confirm;
pub mod connection;
pub mod exchange;
pub mod queue;
pub mod tx;

use crate::encoder::write_method;
use crate::error::{DecodeError, Malformed, Snippet};
pub use crate::method_frame::{MethodFrame, MethodSpec};
use crate::wire::be_u16;

macro_rules! methods {
    (
        $(#[$doc:meta])*
        pub enum $enum:ident<$life:lifetime> {
            $($variant:ident($class:ident::$name:ident $(<$method_life:lifetime>)?),)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $enum<$life> {
            $(#[doc = concat!("`", stringify!($class), "::", stringify!($name), "`")]
            $variant($class::$name $(<$method_life>)?),)*
        }

        /// Every method, by class and number.
        pub const TABLE: &[MethodSpec] = &[$($class::$name::SPEC),*];

        impl<$life> $enum<$life> {
            /// Reads the payload of a method frame.
            ///
            /// # Errors
            /// A payload shorter than class and method, an unknown method,
            /// arguments that do not fit it.
            #[inline]
            pub fn decode(payload: &$life [u8]) -> Result<Self, DecodeError> {
                let Ok((arguments, (class, method))) = class_and_method(payload) else {
                    return Err(DecodeError::ShortMethod { payload: Snippet::new(payload) });
                };
                match (class, method) {
                    $(($class::$name::CLASS_ID, $class::$name::METHOD_ID) => {
                        match $class::$name::read(arguments) {
                            Ok(method) => Ok(Self::$variant(method)),
                            Err(malformed) => Err(malformed.in_arguments(class, method, arguments)),
                        }
                    })*
                    _ => Err(DecodeError::UnknownMethod { class, method }),
                }
            }

            /// The method as the specification has it.
            #[must_use]
            pub fn spec(&self) -> &'static MethodSpec {
                match self {
                    $(Self::$variant(_) => &$class::$name::SPEC,)*
                }
            }

            /// Appends the whole frame.
            pub fn encode_frame(&self, out: &mut Vec<u8>, channel: u16) {
                match self {
                    $(Self::$variant(method) => write_method(out, channel, method),)*
                }
            }

            /// Class and method, as `basic.consume-ok`.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $class::$name::NAME,)*
                }
            }
        }

        $(impl<$life> From<$class::$name $(<$method_life>)?> for $enum<$life> {
            fn from(method: $class::$name $(<$method_life>)?) -> Self {
                Self::$variant(method)
            }
        })*
    };
}

methods! {
    /// Any method, its texts and tables borrowed from the frame.
    pub enum Method<'a> {
        ConnectionStart(connection::Start<'a>),
        ConnectionStartOk(connection::StartOk<'a>),
        ConnectionSecure(connection::Secure<'a>),
        ConnectionSecureOk(connection::SecureOk<'a>),
        ConnectionTune(connection::Tune),
        ConnectionTuneOk(connection::TuneOk),
        ConnectionOpen(connection::Open<'a>),
        ConnectionOpenOk(connection::OpenOk),
        ConnectionClose(connection::Close<'a>),
        ConnectionCloseOk(connection::CloseOk),
        ConnectionBlocked(connection::Blocked<'a>),
        ConnectionUnblocked(connection::Unblocked),
        ConnectionUpdateSecret(connection::UpdateSecret<'a>),
        ConnectionUpdateSecretOk(connection::UpdateSecretOk),
        ChannelOpen(channel::Open),
        ChannelOpenOk(channel::OpenOk),
        ChannelFlow(channel::Flow),
        ChannelFlowOk(channel::FlowOk),
        ChannelClose(channel::Close<'a>),
        ChannelCloseOk(channel::CloseOk),
        AccessRequest(access::Request<'a>),
        AccessRequestOk(access::RequestOk),
        ExchangeDeclare(exchange::Declare<'a>),
        ExchangeDeclareOk(exchange::DeclareOk),
        ExchangeDelete(exchange::Delete<'a>),
        ExchangeDeleteOk(exchange::DeleteOk),
        ExchangeBind(exchange::Bind<'a>),
        ExchangeBindOk(exchange::BindOk),
        ExchangeUnbind(exchange::Unbind<'a>),
        ExchangeUnbindOk(exchange::UnbindOk),
        QueueDeclare(queue::Declare<'a>),
        QueueDeclareOk(queue::DeclareOk<'a>),
        QueueBind(queue::Bind<'a>),
        QueueBindOk(queue::BindOk),
        QueuePurge(queue::Purge<'a>),
        QueuePurgeOk(queue::PurgeOk),
        QueueDelete(queue::Delete<'a>),
        QueueDeleteOk(queue::DeleteOk),
        QueueUnbind(queue::Unbind<'a>),
        QueueUnbindOk(queue::UnbindOk),
        BasicQos(basic::Qos),
        BasicQosOk(basic::QosOk),
        BasicConsume(basic::Consume<'a>),
        BasicConsumeOk(basic::ConsumeOk<'a>),
        BasicCancel(basic::Cancel<'a>),
        BasicCancelOk(basic::CancelOk<'a>),
        BasicPublish(basic::Publish<'a>),
        BasicReturn(basic::Return<'a>),
        BasicDeliver(basic::Deliver<'a>),
        BasicGet(basic::Get<'a>),
        BasicGetOk(basic::GetOk<'a>),
        BasicGetEmpty(basic::GetEmpty),
        BasicAck(basic::Ack),
        BasicReject(basic::Reject),
        BasicRecoverAsync(basic::RecoverAsync),
        BasicRecover(basic::Recover),
        BasicRecoverOk(basic::RecoverOk),
        BasicNack(basic::Nack),
        ConfirmSelect(confirm::Select),
        ConfirmSelectOk(confirm::SelectOk),
        TxSelect(tx::Select),
        TxSelectOk(tx::SelectOk),
        TxCommit(tx::Commit),
        TxCommitOk(tx::CommitOk),
        TxRollback(tx::Rollback),
        TxRollbackOk(tx::RollbackOk),
    }
}

impl Method<'_> {
    /// Number of the class.
    #[must_use]
    pub fn class_id(&self) -> u16 {
        self.spec().class_id
    }

    /// Number of the method within the class.
    #[must_use]
    pub fn method_id(&self) -> u16 {
        self.spec().method_id
    }

    /// Whether a content header must follow.
    #[must_use]
    pub fn carries_content(&self) -> bool {
        self.spec().content
    }
}

#[inline]
fn class_and_method(input: &[u8]) -> nom::IResult<&[u8], (u16, u16), Malformed> {
    let (input, class) = be_u16(input)?;
    let (input, method) = be_u16(input)?;
    Ok((input, (class, method)))
}

#[cfg(test)]
mod tests;
