//! Ctrl-C: the run ends early and its result is printed all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the run was asked to end. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen for SIGINT; a second one ends the process. Where no signal can be received
    /// the run simply cannot be interrupted politely.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        let seen = interrupt.clone();
        // The thread ends with the process.
        drop(std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(wait(&seen));
            }
        }));
        interrupt
    }

    /// Asks for it.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

async fn wait(interrupt: &Interrupt) {
    const INTERRUPTED: i32 = 130;
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    interrupt.set();
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(INTERRUPTED);
    }
}
