//! What is left to be done after a method.
//!
//! Returned by channels and by `session::Dispatch`, carried out by the connection's task, which
//! alone waits.

use std::sync::Arc;

use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::MethodFrame;

use crate::definitions::store::Durable;
use crate::queue::Queue;

/// See the module documentation.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing: the reply, if any, is in the outgoing buffer.
    Next,
    /// Let others run before the next frame.
    Yield,
    /// Send these frames once the change is on disk.
    Once(Durable, Vec<u8>),
    /// Look at this frame again once the answers before it are out.
    Behind,
    /// Look at this frame again after others ran.
    Again,
    /// The client closed the connection: answer, and end.
    ClientClosed,
    /// The client may not publish now: look at this frame again later.
    Park,
    /// It has to be found out what the user may do; then it goes on by itself.
    Ask,
    /// Look at this frame again when it is found out what the user may do.
    AskFirst,
    /// Look at this frame again when the queue's next message has been read.
    AfterRead(Arc<Queue>),
}

impl Step {
    /// This method, once a change is on disk.
    pub(crate) fn method_once<M: MethodFrame>(durable: Durable, channel: u16, method: &M) -> Self {
        let mut frames = Vec::new();
        write_method(&mut frames, channel, method);
        Self::Once(durable, frames)
    }

    /// As `method_once`, unless the client asked for no reply.
    pub(crate) fn unless_nowait<M: MethodFrame>(
        no_wait: bool,
        durable: Durable,
        channel: u16,
        method: &M,
    ) -> Self {
        if no_wait {
            return Self::Once(durable, Vec::new());
        }
        Self::method_once(durable, channel, method)
    }
}
