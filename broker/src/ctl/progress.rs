//! How far something is that takes its time: one line on standard error that is written over.
//!
//! Made by commands that may take longer than a second, and by `main`. Stays true: only people see it (standard
//! error is a terminal), and only after a second; the line is gone when it is over.

use std::io::{IsTerminal, Write};

use crate::clock;

/// What is over sooner shows nothing; in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// How often the line is written at most; in nanoseconds.
const EVERY: u64 = 100_000_000;
/// Letters of the bar.
const WIDTH: u64 = 24;

/// See the module documentation.
#[derive(Debug)]
pub struct Progress {
    what: String,
    is_shown: bool,
    began: u64,
    last: Option<u64>,
}

impl Progress {
    /// Of something that begins now.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        let is_shown = std::io::stderr().is_terminal();
        Self { what: what.into(), is_shown, began: clock::steady_nanos(), last: None }
    }

    /// So much is done, of so much if that is known; `unit` makes text of either.
    pub fn tell(&mut self, done: u64, all: Option<u64>, unit: fn(u64) -> String) {
        let now = clock::steady_nanos();
        let is_due = self.last.is_none_or(|last| now.saturating_sub(last) >= EVERY);
        if self.is_shown && is_due && now.saturating_sub(self.began) >= PATIENCE {
            self.last = Some(now);
            write(&format!("\r\x1b[K{} {}", self.what, line(done, all, unit)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.last.is_some() {
            write("\r\x1b[K");
        }
    }
}

/// Whoever looks on may have gone.
fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn line(done: u64, all: Option<u64>, unit: fn(u64) -> String) -> String {
    let Some(all) = all.filter(|all| *all > 0) else { return unit(done) };
    let done = done.min(all);
    let share =
        |of: u64| u64::try_from(u128::from(done) * u128::from(of) / u128::from(all)).unwrap_or(of);
    let full = share(WIDTH);
    let bar: String = (0..WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
    format!("[{bar}] {:>3} % ({} of {})", share(100), unit(done), unit(all))
}

/// Bytes as people read them.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let steps = (1..UNITS.len()).take_while(|step| count >> (10 * step) > 0).count();
    let unit = UNITS.get(steps).copied().unwrap_or_default();
    if steps == 0 {
        return format!("{count} {unit}");
    }
    let tenths = (count >> (10 * (steps - 1))).saturating_mul(10) / 1024;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        assert_eq!(line(1536, None, bytes), "1.5 KiB");
        assert_eq!(line(0, Some(0), bytes), "0 B");
        let half = line(512, Some(1024), bytes);
        assert_eq!(half, "[############............]  50 % (512 B of 1.0 KiB)");
        assert!(line(9, Some(8), bytes).contains("100 %"), "more than was said");
    }

    #[test]
    fn bytes_have_units() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 * 1024 * 1024 + 512 * 1024, "10.5 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }
}
