//! A queue that is there while somebody looks: bounded, and gone with its owner or a minute after.
//!
//! A room of `tap`. Over the HTTP API a queue cannot be exclusive: its name is drawn, and it expires.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ctl::client::{Client, Sent, segment};
use crate::ctl::failure::{DATA, Failed};
use crate::names;

/// It goes by itself when nobody has asked for so long.
const EXPIRES_MS: u64 = 60_000;
/// It holds so much at most, and lets go of the oldest: who looks too slowly sees less.
const MESSAGES_MAX: u64 = 100_000;
const BYTES_MAX: u64 = 256 << 20;
/// Messages that are fetched at a time.
const TAKEN_MAX: u64 = 1000;

/// See the module documentation.
pub(super) struct Temporary<'a> {
    client: &'a Client,
    vhost: String,
    name: String,
}

impl<'a> Temporary<'a> {
    pub(super) fn declare(client: &'a Client, vhost: &str) -> Result<Self, Failed> {
        let name = names::generated("leveret.tap-");
        let queue = Self { client, vhost: vhost.to_owned(), name };
        let arguments = json!({
            "x-expires": EXPIRES_MS,
            "x-max-length": MESSAGES_MAX,
            "x-max-length-bytes": BYTES_MAX,
            "x-queue-type": "classic",
        });
        let body = json!({"durable": false, "auto_delete": false, "arguments": arguments});
        queue.done("PUT", &queue.path(), &body)?;
        Ok(queue)
    }

    fn path(&self) -> String {
        format!("/queues/{}/{}", segment(&self.vhost), segment(&self.name))
    }

    fn done(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failed> {
        match self.client.send(method, path, Some(body))? {
            Sent::Done(answer) => Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
            Sent::Missing(reason) => Err(Failed::Plain(reason, DATA)),
        }
    }

    pub(super) fn bind(&self, exchange: &str, key: &str) -> Result<(), Failed> {
        let [vhost, source, name] = [&*self.vhost, exchange, &*self.name].map(segment);
        let path = format!("/bindings/{vhost}/e/{source}/q/{name}");
        match self.done("POST", &path, &json!({"routing_key": key, "arguments": {}})) {
            Err(Failed::Plain(_, DATA)) => {
                let text = format!("there is no exchange '{exchange}' in vhost '{}'", self.vhost);
                Err(Failed::Plain(text, DATA))
            }
            done => done.map(drop),
        }
    }

    /// Takes what is there, at most so many.
    pub(super) fn take(&self, most: Option<u64>) -> Result<Vec<Value>, Failed> {
        let count = most.unwrap_or(TAKEN_MAX).clamp(1, TAKEN_MAX);
        let body = json!({"count": count, "ackmode": "ack_requeue_false", "encoding": "auto"});
        let mut messages = self.done("POST", &format!("{}/get", self.path()), &body)?;
        Ok(messages.as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Lets time pass, unless somebody presses Ctrl-C.
    pub(super) fn was_interrupted(
        &self,
        interrupt: Pin<&mut impl Future<Output = io::Result<()>>>,
        time: Duration,
    ) -> bool {
        self.client.wait(async { tokio::time::timeout(time, interrupt).await.is_ok() })
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // It expires, whatever comes of this.
        let _ = self.client.send("DELETE", &self.path(), None);
    }
}
