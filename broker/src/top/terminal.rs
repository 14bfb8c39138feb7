//! The screen and the keys of a terminal, by the escape sequences that all of them know (ECMA-48).
//!
//! A room of `top`. Stays true: the terminal is as it was when this is dropped.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::picture::Size;

/// The other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the upper left corner; to the end of a line; to the end of the screen.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Letter(char),
    Back,
    Enter,
    Escape,
    /// Ctrl-C, or nobody types any more.
    Interrupt,
}

/// See the module documentation.
pub(super) struct Terminal {
    before: Termios,
}

impl Terminal {
    /// Takes the screen and every key.
    pub(super) fn take() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let terminal = Self { before };
        write(ENTER)?;
        Ok(terminal)
    }

    pub(super) fn size(&self) -> Size {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
            }
            Ok(_) | Err(_) => Size { columns: 80, rows: 24 },
        }
    }

    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        let text = lines.join(&format!("{REST_OF_LINE}\r\n"));
        write(&format!("{HOME}{text}{REST_OF_LINE}{REST_OF_SCREEN}"))
    }

    /// Waits so long for a key.
    pub(super) fn key(&self, patience: Duration) -> io::Result<Option<Key>> {
        if !is_there(patience)? {
            return Ok(None);
        }
        let Some(octet) = typed()? else { return Ok(Some(Key::Interrupt)) };
        if octet != 0x1b {
            return Ok(key_of(octet));
        }
        // Arrows and their like begin as escape does, and go on.
        let mut is_more = false;
        while is_there(Duration::ZERO)? && typed()?.is_some() {
            is_more = true;
        }
        Ok((!is_more).then_some(Key::Escape))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whoever looked may have gone.
        let _ = write(LEAVE);
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn key_of(octet: u8) -> Option<Key> {
    match octet {
        0x03 | 0x04 => Some(Key::Interrupt),
        b'\r' | b'\n' => Some(Key::Enter),
        0x08 | 0x7f => Some(Key::Back),
        b' '..=b'~' => Some(Key::Letter(char::from(octet))),
        _ => None,
    }
}

/// The next octet, or none at the end; past the buffer of standard input, which `is_there` does not see.
fn typed() -> io::Result<Option<u8>> {
    let mut octet = [0];
    let count = rustix::io::read(io::stdin(), &mut octet)?;
    let [octet] = octet;
    Ok((count > 0).then_some(octet))
}

/// Whether somebody has typed something within that time.
fn is_there(patience: Duration) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut watched = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
    let time = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    match poll(&mut watched, Some(&time)) {
        Ok(count) => Ok(count > 0),
        // A window that changes its size is a signal.
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        for (octet, key) in [
            (b'q', Some(Key::Letter('q'))),
            (b' ', Some(Key::Letter(' '))),
            (3, Some(Key::Interrupt)),
            (b'\r', Some(Key::Enter)),
            (0x7f, Some(Key::Back)),
            (0xc3, None),
        ] {
            assert_eq!(key_of(octet), key, "{octet}");
        }
    }
}
