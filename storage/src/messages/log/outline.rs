//! What recovery needs of a segment, without the content of its messages: its footer.
//!
//! Gathered by the log thread and the compactor while they write a segment, and by recovery of one
//! that was left open; read back by recovery in place of the segment, which is some hundred times as
//! long.
//! ```text
//! PUB     1 | gap v | length v | note v | arrived v | until v | places v | places x (queue v, sequence v)
//! others  kind u8 | length v | payload
//! ```
//! A v is a number of a variable length: of the gap to the record before and of the record's length as
//! they are, of the note what differs from the one before, of the others how far they are from the
//! one before, so that most take a byte or two.
//!
//! Stays true: it says what the records say, in their order.

use super::record::{self, Kind, Record, Stamp};
use crate::messages::Place;
use crate::wal::{Flaw, Reader, RecordPlace, put_variable, unzigzag, zigzag};

/// What the numbers differ from.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    end: u32,
    stamp: Stamp,
    place: Place,
}

/// An outline while it is made.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    bytes: Vec<u8>,
    last: Last,
}

/// How far an outline was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    length: usize,
    last: Last,
}

impl Mark {
    /// Bytes of the outline.
    pub(crate) fn length(self) -> u64 {
        self.length as u64
    }
}

impl Outline {
    /// How far it is made.
    pub(crate) fn mark(&self) -> Mark {
        Mark { length: self.bytes.len(), last: self.last }
    }

    /// Forgets what was added since.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.length);
        self.last = mark.last;
    }

    /// What is made; empty afterwards.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.last = Last::default();
        std::mem::take(&mut self.bytes)
    }

    /// Adds a message.
    pub(crate) fn publish(
        &mut self,
        record: RecordPlace,
        stamp: Stamp,
        places: impl ExactSizeIterator<Item = Place>,
    ) {
        let Self { bytes, last } = self;
        bytes.push(Kind::Publish as u8);
        put_variable(bytes, u64::from(record.offset.wrapping_sub(last.end)));
        put_variable(bytes, u64::from(record.length));
        put_variable(bytes, stamp.note ^ last.stamp.note);
        put_variable(bytes, zigzag(last.stamp.arrived_ms, stamp.arrived_ms));
        let until =
            stamp.until_ms.map_or(0, |until| zigzag(stamp.arrived_ms, until).saturating_add(1));
        put_variable(bytes, until);
        put_variable(bytes, places.len() as u64);
        for place in places {
            put_variable(bytes, zigzag(last.place.queue, place.queue));
            put_variable(bytes, zigzag(last.place.sequence, place.sequence));
            last.place = place;
        }
        last.end = record.end();
        last.stamp = stamp;
    }

    /// Adds a record of another kind.
    pub(crate) fn other(&mut self, kind: u8, payload: &[u8]) {
        self.bytes.push(kind);
        put_variable(&mut self.bytes, payload.len() as u64);
        self.bytes.extend_from_slice(payload);
    }
}

/// One thing that an outline tells.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    /// A message: where its record is, and how many bytes of content it has.
    Publish { record: RecordPlace, stamp: Stamp, size: u32, places: &'a [Place] },
    /// A record of another kind.
    Other(Record<'a>),
}

/// Tells everything in an outline.
///
/// # Errors
/// It is none; something may have been told.
pub(crate) fn read(
    footer: &[u8],
    mut told: impl FnMut(Told<'_>) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    let flaw = Flaw::Malformed("it ends inside a record");
    let mut reader = Reader(footer);
    let mut last = Last::default();
    let mut places = Vec::new();
    while let Some(kind) = reader.u8() {
        if kind == Kind::Publish as u8 {
            let (record, size) = read_publish(&mut reader, &mut last, &mut places).ok_or(flaw)?;
            told(Told::Publish { record, stamp: last.stamp, size, places: &places })?;
        } else {
            let length = reader.variable().and_then(|length| usize::try_from(length).ok());
            let payload = length.and_then(|length| reader.take(length)).ok_or(flaw)?;
            told(Told::Other(record::decode(kind, payload)?))?;
        }
    }
    Ok(())
}

fn read_publish(
    reader: &mut Reader<'_>,
    last: &mut Last,
    places: &mut Vec<Place>,
) -> Option<(RecordPlace, u32)> {
    let gap = u32::try_from(reader.variable()?).ok()?;
    let offset = last.end.wrapping_add(gap);
    let record = RecordPlace { offset, length: u32::try_from(reader.variable()?).ok()? };
    let note = reader.variable()? ^ last.stamp.note;
    let arrived_ms = unzigzag(last.stamp.arrived_ms, reader.variable()?);
    let until_ms = reader.variable()?.checked_sub(1).map(|until| unzigzag(arrived_ms, until));
    let count = reader.variable()?;
    if count > record::PLACES_MAX as u64 {
        return None;
    }
    places.clear();
    for _ in 0..count {
        let queue = unzigzag(last.place.queue, reader.variable()?);
        let sequence = unzigzag(last.place.sequence, reader.variable()?);
        last.place = Place { queue, sequence };
        places.push(last.place);
    }
    last.end = record.end();
    last.stamp = Stamp { note, arrived_ms, until_ms };
    Some((record, record::content_length(places.len(), record.length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<(RecordPlace, Stamp, Vec<Place>)> {
        let place = |queue, sequence| Place { queue, sequence };
        let record = |offset, length| RecordPlace { offset, length };
        let stamp = |note, arrived_ms, until_ms| Stamp { note, arrived_ms, until_ms };
        vec![
            (record(96, 100), stamp(5, 1_700_000_000_000, None), vec![place(1 << 32, 0)]),
            (record(196, 78), stamp(7, 1_700_000_000_001, Some(3)), vec![place(1, 9), place(2, 1)]),
            (record(400, 50), stamp(u64::MAX, 0, Some(u64::MAX - 1)), vec![]),
        ]
    }

    fn outline() -> Vec<u8> {
        let mut outline = Outline::default();
        for (record, stamp, places) in sample() {
            outline.publish(record, stamp, places.iter().copied());
            let mark = outline.mark();
            outline.publish(record, stamp, places.into_iter());
            outline.rewind(mark);
            let mut payload = Vec::new();
            record::put_list(&mut payload, &[77_u64]);
            outline.other(Kind::DeletedQueue as u8, &payload);
        }
        outline.take()
    }

    #[test]
    fn it_tells_what_was_added() {
        let (mut publishes, mut others) = (Vec::new(), 0);
        read(&outline(), |told| {
            match told {
                Told::Publish { record, stamp, places, size } => {
                    assert_eq!(Some(size), record::content_length(places.len(), record.length));
                    publishes.push((record, stamp, places.to_vec()));
                }
                Told::Other(_) => others += 1,
            }
            Ok(())
        })
        .unwrap();
        assert_eq!((publishes, others), (sample(), 3));
    }

    #[test]
    fn cut_or_senseless_it_is_refused() {
        let outline = outline();
        let told: Vec<_> =
            (0..outline.len()).map(|length| read(&outline[..length], |_| Ok(())).is_ok()).collect();
        assert_eq!(told.iter().filter(|is_whole| **is_whole).count(), 6, "between two records");
    }
}
