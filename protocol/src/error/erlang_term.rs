//! Octets as Erlang prints them, for error texts that RabbitMQ makes that way.
//! A frame's payload is printed by `~tp`: `<<"abc">>` when all is printable
//! Latin-1, `<<0,20>>` otherwise, broken into lines of eighty columns; a
//! method's arguments by `~w`, numbers without a break. Used by `error` only.

use std::fmt::{self, Display, Write};

/// Octets of a payload that an error text shows.
const SNIPPET_MAX: usize = 16;

/// Columns a line of a printed term may have.
const LINE_WIDTH: usize = 80;

/// The first octets of a payload, kept for an error text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snippet {
    octets: [u8; SNIPPET_MAX],
    len: u8,
    whole: bool,
}

impl Snippet {
    /// The beginning of `payload`.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn new(payload: &[u8]) -> Self {
        let mut octets = [0; SNIPPET_MAX];
        let mut len = 0;
        for (kept, octet) in octets.iter_mut().zip(payload) {
            *kept = *octet;
            len += 1;
        }
        Self { octets, len, whole: payload.len() <= SNIPPET_MAX }
    }

    /// The octets kept: at most sixteen.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// A binary as `~w` prints it: numbers, all on one line.
pub(super) struct BinaryNumbers<'a>(pub(super) &'a [u8]);

impl Display for BinaryNumbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<<")?;
        for (position, octet) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{octet}")?;
        }
        f.write_str(">>")
    }
}

/// RabbitMQ's account of a frame it could not take.
pub(super) struct FrameReport<'a> {
    pub(super) frame_type: u8,
    pub(super) payload: &'a Snippet,
    pub(super) complaint: Complaint,
}

/// What is said after the octets.
pub(super) enum Complaint {
    /// Nothing: the frame is in the wrong place.
    None,
    /// No frame has this type, or this payload.
    Unknown,
    /// This octet stands where the end octet belongs.
    WrongEnd(u8),
}

impl Display for FrameReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = if self.payload.whole { "all" } else { "first 16" };
        let lead = format!("type {}, {share} octets = ", self.frame_type);
        f.write_str(&lead)?;
        let column = write_binary(f, self.payload.octets(), lead.len())? + ": ".len();
        let end = match self.complaint {
            Complaint::None => return Ok(()),
            Complaint::Unknown => return f.write_str(": unknown_frame"),
            Complaint::WrongEnd(end) => end,
        };
        let whole = format!("{{invalid_frame_end_marker,{end}}}");
        if column + whole.len() < LINE_WIDTH - 1 {
            write!(f, ": {whole}")
        } else {
            let indent = column + 1;
            write!(f, ": {{invalid_frame_end_marker,\n{:indent$}{end}}}", "")
        }
    }
}

/// Prints `octets` from `column` on; returns the column after.
fn write_binary(f: &mut impl Write, octets: &[u8], column: usize) -> Result<usize, fmt::Error> {
    match std::str::from_utf8(octets) {
        Ok(text) if text.chars().all(is_printable) => {
            let suffix = if text.is_ascii() { "" } else { "/utf8" };
            write_quoted(f, text.chars(), suffix, column)
        }
        Ok(_) => write_numbers(f, octets, column),
        Err(_) if octets.iter().all(|octet| is_printable(char::from(*octet))) => {
            write_quoted(f, octets.iter().map(|octet| char::from(*octet)), "", column)
        }
        Err(_) => write_numbers(f, octets, column),
    }
}

/// Whether Erlang counts `c` as printable in its Latin-1 range.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{ff}' | '\u{8}'..='\u{d}' | '\u{1b}')
}

fn write_quoted(
    f: &mut impl Write,
    text: impl Iterator<Item = char>,
    suffix: &str,
    column: usize,
) -> Result<usize, fmt::Error> {
    let mut quoted = String::new();
    for c in text {
        match c {
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            '\u{1b}' => quoted.push_str("\\e"),
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            other => quoted.push(other),
        }
    }
    let printed =
        if quoted.is_empty() { "<<>>".to_owned() } else { format!("<<\"{quoted}\"{suffix}>>") };
    f.write_str(&printed)?;
    Ok(column + printed.chars().count())
}

/// Each number with the comma or bracket after it is kept on one line.
fn write_numbers(f: &mut impl Write, octets: &[u8], column: usize) -> Result<usize, fmt::Error> {
    f.write_str("<<")?;
    let indent = column + "<<".len();
    let mut at = indent;
    let mut octets = octets.iter().peekable();
    while let Some(octet) = octets.next() {
        let printed = if octets.peek().is_some() { format!("{octet},") } else { octet.to_string() };
        if at + printed.len() >= LINE_WIDTH {
            write!(f, "\n{:indent$}", "")?;
            at = indent;
        }
        f.write_str(&printed)?;
        at += printed.len();
    }
    f.write_str(">>")?;
    Ok(at + ">>".len())
}
