//! The task that writes what a socket did not take at once.
//!
//! One per connection, asleep nearly always: `ConnectionHandle::flush` writes small batches itself
//! and wakes this task for large ones or when the socket is full. Ends when the connection does.

use std::io;
use std::sync::Arc;

use super::batch::Batch;
use super::{ConnectionHandle, WriteHalf};

/// Writes for the connection until it is aborted or the socket fails.
pub(crate) async fn run<W: WriteHalf>(connection: Arc<ConnectionHandle<W>>) {
    let _ends = Ends(&connection);
    loop {
        connection.writer_wanted().await;
        let mut next = connection.outbox().resume_writing();
        while let Some(batch) = next {
            match write(&connection, batch).await {
                Ok(batch) => next = connection.finish_batch(batch),
                Err(error) => {
                    connection.fail(error.kind());
                    return;
                }
            }
        }
    }
}

/// A writer that panics ends its connection: nobody else would write on.
struct Ends<'a, W: WriteHalf>(&'a ConnectionHandle<W>);

impl<W: WriteHalf> Drop for Ends<'_, W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(io::ErrorKind::BrokenPipe);
        }
    }
}

async fn write<W: WriteHalf>(
    connection: &ConnectionHandle<W>,
    mut batch: Batch,
) -> io::Result<Batch> {
    while batch.remaining() > 0 {
        let result = connection.socket().try_write_vectored(&batch.slices());
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                connection.octets().note_write(count);
                batch.advance(count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.socket().writable().await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(batch)
}
