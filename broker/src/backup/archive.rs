//! The file of a backup: a tar archive (POSIX ustar) that any `tar` can list.
//!
//! ```text
//! FORMAT  definitions.export  messages/MANIFEST  messages/hot-…  messages/cold-…   as in a data directory
//! BACKUP                                         last: what it is, as JSON
//! ```
//! A room of `backup`. Stays true: an archive without `BACKUP` at its end is not whole, and one whose files are not
//! what it says is damaged.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// The layout that this version writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
/// The name of the last file.
pub(super) const ABOUT: &str = "BACKUP";

/// A header, or what a file's content is filled up to.
const BLOCK: u64 = 512;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The archive's layout.
    pub format: u32,
    /// The version of the broker that made it.
    pub version: String,
    /// The name of that broker's node.
    pub node: String,
    /// When it was begun, as RFC 3339.
    pub taken_at: String,
    /// SHA-256 of what the files before this one hold, in hexadecimal.
    pub sha256: String,
}

impl About {
    /// A backup that is begun now.
    pub(crate) fn now(node: String) -> Self {
        let taken_at = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        // As long as the one that it gets.
        Self { format: FORMAT, version, node, taken_at, sha256: hex(&Sha256::new()) }
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Bytes of an archive of these files.
pub(super) fn length(files: &[(String, u64)], about: &About) -> u64 {
    let filled = |length: u64| BLOCK + length.next_multiple_of(BLOCK);
    let files: u64 = files.iter().map(|(_, length)| filled(*length)).sum();
    files + filled(about.text().len() as u64) + 2 * BLOCK
}

/// Writes an archive of files in a directory.
///
/// # Errors
/// The system refuses to read them, or whoever takes the archive does not.
pub(super) fn write(
    directory: &Path,
    files: &[(String, u64)],
    about: &About,
    out: impl Write,
) -> io::Result<()> {
    let mut builder = Builder::new(out);
    let mut sum = Sha256::new();
    for (name, length) in files {
        let file = File::open(directory.join(name))?.take(*length);
        builder.append_data(&mut header(*length), name, Summed { file, sum: &mut sum })?;
    }
    let text = About { sha256: hex(&sum), ..about.clone() }.text();
    builder.append_data(&mut header(text.len() as u64), ABOUT, text.as_slice())?;
    builder.into_inner()?.flush()
}

/// For its owner alone: hashes of passwords are in it.
fn header(length: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(length);
    header
}

/// What is read of a file goes into a sum.
pub(super) struct Summed<'a, R> {
    pub(super) file: R,
    pub(super) sum: &'a mut Sha256,
}

impl<R: Read> Read for Summed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.sum.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// A sum so far, in hexadecimal.
pub(super) fn hex(sum: &Sha256) -> String {
    sum.clone().finalize().iter().map(|octet| format!("{octet:02x}")).collect()
}
