//! A walk through the groups of a segment file, and the search for the next group behind a bad one.
//!
//! Used by `survey` and by whoever reads a log in order. Stays true: it holds a mebibyte, or the
//! largest group if that is more; it says exactly where the first bad group is and why; whatever a
//! file holds, it takes time in proportion to its length.

use std::io;

use super::files::LogFile;
use super::group::{Flaw, GROUP_HEADER, GroupHeader, Record, Records};
use super::segment::HEADER_SIZE;

/// Bytes read at once.
const PIECE: usize = 1 << 20;

const HEADER: usize = GROUP_HEADER as usize;

/// What a step of a walk came to.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A good group.
    Group {
        /// Where it begins.
        offset: u32,
        /// What stands before its records.
        header: GroupHeader,
        /// Its records.
        records: Records<'a>,
    },
    /// Nothing follows.
    End,
    /// No good group begins at the offset. The next step finds the same.
    Bad {
        /// Bytes from the beginning of the segment.
        offset: u32,
        /// What is wrong with it.
        flaw: Flaw,
        /// Its header, if that is good.
        header: Option<GroupHeader>,
    },
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Walk<'f> {
    file: &'f dyn LogFile,
    salt: u64,
    /// Bytes of the file that are walked through.
    length: u64,
    /// Where the next group begins.
    offset: u64,
    /// A piece of the file...
    buffer: Vec<u8>,
    /// ...that begins here.
    buffer_start: u64,
}

impl<'f> Walk<'f> {
    /// Through all groups of a file, or of so many bytes of it.
    pub(crate) fn new(file: &'f dyn LogFile, salt: u64, length: u64) -> Self {
        // Offsets are 32 bits wide: nothing of ours is beyond.
        let length = length.min(u64::from(u32::MAX));
        let offset = u64::from(HEADER_SIZE);
        Self { file, salt, length, offset, buffer: Vec::new(), buffer_start: offset }
    }

    /// Where the next group begins.
    pub(crate) fn offset(&self) -> u32 {
        u32::try_from(self.offset).unwrap_or(u32::MAX)
    }

    /// The next group.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn step(&mut self) -> io::Result<Step<'_>> {
        let offset = self.offset();
        if self.offset >= self.length {
            return Ok(Step::End);
        }
        let left = self.length - self.offset;
        self.hold(HEADER as u64)?;
        let held = self.held();
        if held.iter().take(HEADER).all(|byte| *byte == 0) {
            return Ok(Step::End);
        }
        let Some(header) = GroupHeader::decode(self.salt, offset, held) else {
            let flaw = if held.len() < HEADER {
                Flaw::CutShort { needed: HEADER as u64, left }
            } else {
                Flaw::Checksum
            };
            return Ok(Step::Bad { offset, flaw, header: None });
        };
        // Before any memory is taken for it.
        let total = header.total();
        if total > left {
            let flaw = Flaw::CutShort { needed: total, left };
            return Ok(Step::Bad { offset, flaw, header: Some(header) });
        }
        self.hold(total)?;
        let start = usize::try_from(self.offset - self.buffer_start).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(total).unwrap_or(usize::MAX));
        let group = self.buffer.get(start..end).unwrap_or_default();
        match Records::check(self.salt, offset, &header, group) {
            Ok(records) => {
                self.offset += total;
                Ok(Step::Group { offset, header, records })
            }
            Err((_, flaw)) => Ok(Step::Bad { offset, flaw, header: Some(header) }),
        }
    }

    /// Goes on behind a bad group, at the next place where a group seems to begin. False if there is
    /// none.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn skip_bad(&mut self, header: Option<GroupHeader>) -> io::Result<bool> {
        if let Some(header) = header {
            let next = self.offset + header.total();
            self.go_to(next);
            if next >= self.length {
                return Ok(false);
            }
            self.hold(HEADER as u64)?;
            let held = self.held();
            let is_end = held.iter().take(HEADER).all(|byte| *byte == 0);
            if is_end || GroupHeader::decode(self.salt, self.offset(), held).is_some() {
                return Ok(!is_end);
            }
        }
        self.go_to(self.offset + 1);
        while self.offset + HEADER as u64 <= self.length {
            self.hold(HEADER as u64)?;
            // As long as the buffer has whole headers.
            while let Some(held) = self.held().first_chunk::<HEADER>() {
                if GroupHeader::decode(self.salt, self.offset(), held).is_some() {
                    return Ok(true);
                }
                self.offset += 1;
            }
        }
        Ok(false)
    }

    /// Tells every good record of the bad group that it stands at, and what is between them: a record
    /// whose length is damaged takes those behind it in the group along.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn good_records(
        &mut self,
        header: &GroupHeader,
        mut told: impl FnMut(Result<Record<'_>, (u32, u64, Flaw)>),
    ) -> io::Result<()> {
        let (left, total) = (self.length - self.offset, header.total());
        self.hold(total.min(left))?;
        let end = total.min(left);
        let mut at = HEADER as u64;
        while at < end {
            let offset = u32::try_from(self.offset + at).unwrap_or(u32::MAX);
            let start = usize::try_from(at).unwrap_or(usize::MAX);
            let stop = usize::try_from(end).unwrap_or(usize::MAX);
            let held = self.held();
            let bytes = held.get(start..stop.min(held.len())).unwrap_or_default();
            match Record::check(self.salt, offset, bytes) {
                Ok(record) => {
                    at += u64::from(record.place.length);
                    told(Ok(record));
                }
                Err(flaw) => {
                    let stated = Record::stated_length(bytes).unwrap_or(u64::MAX);
                    let skipped = stated.min(end - at);
                    told(Err((offset, skipped, flaw)));
                    at += skipped;
                }
            }
        }
        Ok(())
    }

    fn go_to(&mut self, offset: u64) {
        self.offset = offset.min(self.length);
        if self.offset > self.buffer_start + self.buffer.len() as u64 {
            self.buffer.clear();
            self.buffer_start = self.offset;
        }
    }

    /// What the buffer has from the next group on.
    fn held(&self) -> &[u8] {
        let start = usize::try_from(self.offset - self.buffer_start).unwrap_or(usize::MAX);
        self.buffer.get(start..).unwrap_or_default()
    }

    /// Reads on until the buffer has so many bytes from the next group on, or the file ends.
    fn hold(&mut self, count: u64) -> io::Result<()> {
        let held = self.held().len();
        let left = self.length - self.offset;
        if held as u64 >= count.min(left) {
            return Ok(());
        }
        let wanted = count.max(PIECE as u64).min(left);
        let wanted = usize::try_from(wanted).map_err(io::Error::other)?;
        let start = self.buffer.len() - held;
        self.buffer.drain(..start);
        self.buffer_start = self.offset;
        self.buffer.resize(wanted, 0);
        let rest = self.buffer.get_mut(held..).unwrap_or_default();
        let read = self.file.read_full_at(rest, self.offset + held as u64)?;
        self.buffer.truncate(held + read);
        // The file may be shorter than it was said to be.
        if read == 0 && held == 0 {
            self.length = self.offset;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::RngCore;

    use super::super::files::{Files, RealFiles};
    use super::super::group::{GroupBuffer, Spot};
    use super::*;

    const SALT: u64 = 99;

    fn file(bytes: &[u8]) -> (Arc<dyn LogFile>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let file = RealFiles.create_new(&directory.path().join("segment")).unwrap();
        file.write_all_at(bytes, u64::from(HEADER_SIZE)).unwrap();
        (file, directory)
    }

    /// One group for each size, with two records each.
    fn groups(sizes: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut group = GroupBuffer::default();
        for (number, size) in (1..).zip(sizes) {
            let offset = HEADER_SIZE + u32::try_from(bytes.len()).unwrap();
            group.begin(Spot { segment: 1, offset, salt: SALT });
            group.record(1, |out| out.resize(out.len() + size, b'x')).unwrap();
            group.record(2, |out| out.push(b'y')).unwrap();
            bytes.extend_from_slice(group.finish(number, number - 1));
            bytes.truncate(bytes.len() - HEADER);
        }
        bytes
    }

    /// The numbers of the good groups, and where the bad ones are.
    fn walked(file: &dyn LogFile) -> (Vec<u64>, Vec<u32>) {
        let mut walk = Walk::new(file, SALT, file.size().unwrap());
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        loop {
            match walk.step().unwrap() {
                Step::Group { header, .. } => good.push(header.number),
                Step::End => return (good, bad),
                Step::Bad { offset, header, .. } => {
                    bad.push(offset);
                    if !walk.skip_bad(header).unwrap() {
                        return (good, bad);
                    }
                }
            }
        }
    }

    #[test]
    fn groups_across_and_beyond_a_piece_are_walked_through() {
        let sizes = [10, PIECE - 100, 0, 300, 3 * PIECE, 1, PIECE, 5];
        let (file, _directory) = file(&[&groups(&sizes)[..], &[0; 500]].concat());
        assert_eq!(walked(&*file), ((1..=8).collect(), vec![]));
    }

    #[test]
    fn behind_a_bad_group_the_next_good_one_is_found() {
        let sizes = [10, 2 * PIECE, 20, 30];
        let whole = groups(&sizes);
        let second = 32 + 21 + 10;
        for (at, expected) in [(second + 100, [1, 3, 4]), (second + 3, [1, 3, 4])] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            let (file, _directory) = file(&bytes);
            let (good, bad) = walked(&*file);
            assert_eq!(good, expected);
            assert_eq!(bad[0], HEADER_SIZE + u32::try_from(second).unwrap());
        }
    }

    #[test]
    fn cut_anywhere_the_whole_groups_before_are_found() {
        let whole = groups(&[5, 0, 9]);
        let ends = [5 + 53, 5 + 53 + 53, whole.len()];
        for length in 0..whole.len() {
            let (file, _directory) = file(&whole[..length]);
            let (good, bad) = walked(&*file);
            let expected = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(good.len(), expected, "cut to {length}");
            assert_eq!(bad.is_empty(), length == 0 || ends.contains(&length), "cut to {length}");
        }
    }

    #[test]
    fn good_records_of_a_bad_group_are_told() {
        let mut bytes = groups(&[100]);
        bytes[32 + 50] ^= 1;
        let (file, _directory) = file(&bytes);
        let mut walk = Walk::new(&*file, SALT, file.size().unwrap());
        let Step::Bad { header: Some(header), .. } = walk.step().unwrap() else { panic!() };
        let mut told = Vec::new();
        walk.good_records(&header, |record| {
            told.push(record.map(|record| record.kind).map_err(|(at, bytes, _)| (at, bytes)));
        })
        .unwrap();
        assert_eq!(told, [Err((HEADER_SIZE + 32, 110)), Ok(2)]);
    }

    /// It took a time in the cube of the length once.
    #[test]
    fn random_bytes_and_forged_headers_are_passed_in_a_moment() {
        let mut bytes = vec![0; 8 << 20];
        rand::rng().fill_bytes(&mut bytes);
        // What a sender who guesses the layout could put into a body.
        for forged in bytes.as_chunks_mut::<40>().0 {
            let plausible = [&[200, 0, 0, 0, 1, 0, 0, 0][..], &9_u64.to_le_bytes()].concat();
            forged[..16].copy_from_slice(&plausible);
            forged[16..24].copy_from_slice(&8_u64.to_le_bytes());
        }
        let (file, _directory) = file(&bytes);
        let started = crate::clock::now();
        assert_eq!(walked(&*file).0, [0; 0]);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
