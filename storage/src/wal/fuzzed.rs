//! A walk through a segment that is whatever the fuzzer says. In no other build.
//!
//! Stays true: the walk ends, and goes no further than the octets do.

use std::io;

use super::files::LogFile;
use super::segment::SegmentHeader;
use super::walk::{Step, Walk};

/// A file in memory that is only read.
#[derive(Debug)]
struct Octets(Vec<u8>);

impl LogFile for Octets {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(from..).unwrap_or_default();
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(rest.len().min(buffer.len()))
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Walks through a segment to its end, or to the first group that is none.
///
/// # Panics
/// The walk goes too far or stands still, which is what the fuzzer looks for.
pub fn segment(octets: &[u8]) {
    let file = Octets(octets.to_vec());
    let header = SegmentHeader::read(&file);
    let salt = header.ok().and_then(Result::ok).map_or(0, |header| header.salt);
    let mut walk = Walk::new(&file, salt, octets.len() as u64);
    loop {
        let before = walk.offset();
        match walk.step() {
            Ok(Step::Group { records, .. }) => assert!(records.count() <= octets.len()),
            Ok(Step::End | Step::Bad { .. }) | Err(_) => return,
        }
        assert!(walk.offset() > before && u64::from(walk.offset()) <= octets.len() as u64);
    }
}
