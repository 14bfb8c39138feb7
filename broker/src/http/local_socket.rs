//! The socket `leveret.sock` in the data directory: the management API for this machine's command line.
//!
//! Bound by `server` once the data directory is the broker's own. Stays true: nobody but the broker's
//! user (and root) can open it, not even in the moment when it is made; one that a broker left behind
//! that did not end in order is replaced; it is gone when the broker is.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// Its name in the data directory.
pub(crate) const NAME: &str = "leveret.sock";
/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;
/// For its owner alone.
const MODE: u32 = 0o600;

/// Removes the file when it is dropped.
#[derive(Debug)]
pub(crate) struct LocalSocket {
    path: PathBuf,
}

impl LocalSocket {
    /// Listens in this directory, which no other broker has.
    ///
    /// # Errors
    /// The system does not let it, or the path is longer than a socket's may be.
    pub(crate) fn bind(directory: &Path) -> io::Result<(UnixListener, Self)> {
        let path = directory.join(NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&path)?)?;
        let bound = Self { path };
        // Before anybody can connect: that is refused until it listens.
        fs::set_permissions(&bound.path, Permissions::from_mode(MODE))?;
        socket.set_nonblocking(true)?;
        socket.listen(BACKLOG)?;
        Ok((UnixListener::from_std(socket.into())?, bound))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_for_its_owner_replaces_a_stale_one_and_goes_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        fs::write(&path, "stale").unwrap();
        let (listener, bound) = LocalSocket::bind(directory.path()).unwrap();
        assert_eq!(bound.path(), path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let (accepted, connected) =
            tokio::join!(listener.accept(), tokio::net::UnixStream::connect(&path));
        assert!(accepted.is_ok() && connected.is_ok());
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a".repeat(120));
        fs::create_dir(&deep).unwrap();
        assert!(LocalSocket::bind(&deep).is_err());
    }
}
