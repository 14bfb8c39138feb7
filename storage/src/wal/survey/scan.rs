//! What is in one segment: its groups, its records, its footer.
//!
//! Stays true: a bad group ends what counts, but not what is looked at: one behind it may know that it
//! was synced.

use std::io;

use super::super::files::{Files, LogFile};
use super::super::group::{FOOTER, Flaw, Record, RecordPlace};
use super::super::segment::HEADER_SIZE;
use super::super::walk::{Step, Walk};
use super::{Bad, Depth, Surveyed, Verdict, Visitor, open};
use crate::StorageError;

/// What the groups of a segment that is not sealed say.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The first and the last of the good groups before anything bad.
    pub(super) first: Option<u64>,
    pub(super) last: u64,
    /// What is behind them, unless it is the end.
    pub(super) bad: Option<Bad>,
    /// The highest group that any good group says is synced.
    pub(super) synced: u64,
}

impl Surveyed {
    /// Reads the groups of one that is not sealed, and notes where they end.
    pub(super) fn scan(&mut self, files: &dyn Files) -> Result<Scan, StorageError> {
        if self.is_damaged() {
            return Ok(Scan::default());
        }
        let file = open(&self.segment.path, files)?;
        let scanned = self.scan_file(&*file);
        scanned.map_err(|error| StorageError::io("read", &self.segment.path, error))
    }

    fn scan_file(&mut self, file: &dyn LogFile) -> io::Result<Scan> {
        let mut scan = Scan::default();
        let mut walk = Walk::new(file, self.segment.salt, self.size);
        loop {
            match walk.step()? {
                Step::Group { offset, header, records } => {
                    scan.synced = scan.synced.max(header.synced);
                    if scan.bad.is_some() {
                        continue;
                    }
                    if records.is_footer() {
                        // The segment was about to be sealed.
                        break;
                    }
                    if scan.first.is_some() && header.number != scan.last + 1 {
                        let why = format!("group {} is missing", scan.last + 1);
                        scan.bad = Some(Bad { offset, why });
                        continue;
                    }
                    scan.first.get_or_insert(header.number);
                    scan.last = header.number;
                    self.end = walk.offset();
                }
                Step::End => break,
                Step::Bad { offset, flaw, header } => {
                    let why = || Bad { offset, why: flaw.to_string() };
                    scan.bad.get_or_insert_with(why);
                    if let Some(header) = header {
                        scan.synced = scan.synced.max(header.synced);
                    }
                    if !walk.skip_bad(header)? {
                        break;
                    }
                }
            }
        }
        self.last = scan.last;
        Ok(scan)
    }

    /// Tells the records of one that is not sealed, up to where it is good.
    pub(super) fn tell(
        &mut self,
        files: &dyn Files,
        visitor: &mut dyn Visitor,
    ) -> Result<(), StorageError> {
        let counts = matches!(self.verdict, Verdict::Whole | Verdict::Torn(_));
        // Of a damaged one, too, for whoever wants to know what there is.
        let is_readable = self.is_damaged() && self.end > HEADER_SIZE;
        if !counts && !is_readable {
            return Ok(());
        }
        let (flaw, _) = self.walk_through(files, u64::from(self.end), visitor)?;
        if let Some(bad) = flaw
            && counts
        {
            self.verdict = Verdict::Damaged(bad);
        }
        self.footer = visitor.footer();
        Ok(())
    }

    /// Reads the footer of a sealed segment, or all of it.
    pub(super) fn check_sealed(
        &mut self,
        files: &dyn Files,
        depth: Depth,
        visitor: &mut dyn Visitor,
    ) -> Result<(), StorageError> {
        let Some(sealed) = self.sealed else { return Ok(()) };
        let is_readable = !self.is_damaged() || self.end > HEADER_SIZE || self.size > 0;
        if !is_readable {
            return Ok(());
        }
        if let (Some(footer), Depth::Footers, false) = (sealed.footer, depth, self.is_damaged()) {
            if let Err(bad) = self.read_footer(footer, files, visitor)? {
                self.verdict = Verdict::Damaged(bad);
            }
            return Ok(());
        }
        let length = u64::from(sealed.length).min(self.size);
        let (bad, end) = self.walk_through(files, length, visitor)?;
        drop(visitor.footer());
        if self.is_damaged() {
            return Ok(());
        }
        self.end = end;
        let is_short = u64::from(end) < u64::from(sealed.length);
        let missing =
            || Bad { offset: end, why: "its groups end before the segment does".to_owned() };
        if let Some(bad) = bad.or_else(|| is_short.then(missing)) {
            self.verdict = Verdict::Damaged(bad);
        }
        Ok(())
    }

    fn read_footer(
        &self,
        place: RecordPlace,
        files: &dyn Files,
        visitor: &mut dyn Visitor,
    ) -> Result<Result<(), Bad>, StorageError> {
        let path = &self.segment.path;
        let file = open(path, files)?;
        let mut bytes = vec![0; place.length as usize];
        let read = file.read_full_at(&mut bytes, u64::from(place.offset));
        let count = read.map_err(|error| StorageError::io("read", path, error))?;
        bytes.truncate(count);
        file.forget_cached();
        let told =
            Record::read(&self.segment, place.offset, &bytes).and_then(|record| {
                match record.kind {
                    FOOTER => visitor.sealed(&self.segment, record.payload),
                    _ => Err(Flaw::Malformed("it is not a footer")),
                }
            });
        let bad = |flaw: Flaw| Bad { offset: place.offset, why: format!("its footer: {flaw}") };
        Ok(told.map_err(bad))
    }

    /// Tells every record up to the first bad group, or every good one of a damaged segment.
    fn walk_through(
        &self,
        files: &dyn Files,
        length: u64,
        visitor: &mut dyn Visitor,
    ) -> Result<(Option<Bad>, u32), StorageError> {
        let path = &self.segment.path;
        let file = open(path, files)?;
        let unreadable = |error| StorageError::io("read", path, error);
        let mut walk = Walk::new(&*file, self.segment.salt, length);
        let mut bad = None;
        loop {
            match walk.step().map_err(unreadable)? {
                Step::Group { records, .. } if records.is_footer() => {}
                Step::Group { offset, records, .. } => {
                    for record in records {
                        if let Err(flaw) = visitor.record(&self.segment, &record) {
                            let why = flaw.to_string();
                            bad.get_or_insert(Bad { offset, why });
                        }
                    }
                }
                Step::End => break,
                Step::Bad { offset, flaw, header } => {
                    bad.get_or_insert_with(|| Bad { offset, why: flaw.to_string() });
                    if !walk.skip_bad(header).map_err(unreadable)? {
                        break;
                    }
                }
            }
        }
        Ok((bad, walk.offset()))
    }
}
