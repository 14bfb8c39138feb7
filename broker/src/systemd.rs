//! What the service manager is told: that the broker starts, is ready, lives, and ends.
//!
//! `server` calls it. A datagram to the socket that `NOTIFY_SOCKET` names, as `sd_notify(3)` says; where
//! no such socket is named, nothing happens. Stays true: whoever is told may be gone, and the broker goes
//! on; nothing here waits. A unit is in `config/systemd`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

/// How often a start that takes long says so.
const STARTING_EVERY: Duration = Duration::from_secs(5);
/// How much longer the start, or the end, may take from each word on.
const LONGER: Duration = Duration::from_secs(30);

/// The service manager, if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceManager {
    told: Option<Arc<(UnixDatagram, SocketAddr)>>,
    /// How long it waits for a sign of life.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that started this process.
    pub(crate) fn of_this_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let Some(named) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let pid = variable("WATCHDOG_PID");
        let is_for_us = pid.is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC").filter(|_| is_for_us);
        Self::at(&named, watchdog.as_deref()).unwrap_or_else(|error| {
            warn!("the service manager cannot be told anything at {named}: {error}");
            Self::default()
        })
    }

    fn at(named: &str, watchdog_usec: Option<&str>) -> io::Result<Self> {
        let address = match named.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(OsStr::new(named))?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let watchdog = watchdog_usec.and_then(|usec| usec.parse().ok()).map(Duration::from_micros);
        let watchdog = watchdog.filter(|watchdog| !watchdog.is_zero());
        Ok(Self { told: Some(Arc::new((socket, address))), watchdog })
    }

    fn tell(&self, state: &str) {
        let Some((socket, address)) = self.told.as_deref() else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            debug!("the service manager was not told {state:?}: {error}");
        }
    }

    /// Asks for patience until the guard is dropped: a start reads all that is stored.
    pub(crate) fn starting(&self) -> Option<Starting> {
        self.told.as_ref()?;
        let manager = self.clone();
        let asking = tokio::spawn(async move {
            let mut again = interval(STARTING_EVERY);
            loop {
                again.tick().await;
                let longer = LONGER.as_micros();
                manager.tell(&format!("STATUS=Starting\nEXTEND_TIMEOUT_USEC={longer}"));
            }
        });
        Some(Starting(asking))
    }

    /// The start is complete. From now on it is given signs of life, if it wants them.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=Serving");
        let Some(watchdog) = self.watchdog else { return };
        let manager = self.clone();
        tokio::spawn(async move {
            let mut again = interval(watchdog / 2);
            again.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                again.tick().await;
                manager.tell("WATCHDOG=1");
            }
        });
    }

    /// The broker ends, which may take so long.
    pub(crate) fn stopping(&self, patience: Duration) {
        let longer = (patience + LONGER).as_micros();
        self.tell(&format!("STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC={longer}"));
    }
}

/// While it lives, the service manager is asked for patience.
#[derive(Debug)]
pub(crate) struct Starting(JoinHandle<()>);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut buffer = [0; 256];
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_told_of_the_start_of_life_and_of_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::at(path.to_str().unwrap(), Some("20000")).unwrap();
        let starting = manager.starting().unwrap();
        let asked = tokio::task::spawn_blocking(move || (told(&socket), socket)).await.unwrap();
        assert_eq!(asked.0, "STATUS=Starting\nEXTEND_TIMEOUT_USEC=30000000");
        drop(starting);
        manager.ready();
        let socket = asked.1;
        let lives = tokio::task::spawn_blocking(move || {
            (["READY", "first", "second"].map(|_| told(&socket)), socket)
        });
        let (lives, socket) = lives.await.unwrap();
        assert_eq!(lives, ["READY=1\nSTATUS=Serving", "WATCHDOG=1", "WATCHDOG=1"]);
        manager.stopping(Duration::from_secs(8));
        let stopping = "STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=38000000";
        let last = tokio::task::spawn_blocking(move || {
            loop {
                let last = told(&socket);
                if last != "WATCHDOG=1" {
                    return last;
                }
            }
        });
        assert_eq!(last.await.unwrap(), stopping);
        // Nobody listens any more.
        manager.tell("READY=1");
    }

    #[tokio::test]
    async fn without_one_nothing_happens() {
        let manager = ServiceManager::default();
        assert!(manager.starting().is_none());
        manager.ready();
        manager.stopping(Duration::ZERO);
        let wrong = ServiceManager::at("/nowhere/at/all", None).unwrap();
        wrong.ready();
        let name = format!("@leveret-test-{}", std::process::id());
        let abstract_one = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let socket = UnixDatagram::bind_addr(&abstract_one).unwrap();
        ServiceManager::at(&name, None).unwrap().ready();
        assert_eq!(told(&socket), "READY=1\nSTATUS=Serving");
    }
}
