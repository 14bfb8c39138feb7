//! A file `.tar.gz` of a few small texts: POSIX ustar in gzip (RFC 1952) whose blocks are stored as they
//! are (RFC 1951, 3.2.4), so that nothing but a sum has to be computed.
//!
//! A room of `doctor`. Pure.

/// Bytes of a block of tar.
const BLOCK: usize = 512;
/// The longest block of deflate that is stored.
const STORED_MAX: usize = 0xffff;

/// Texts under their names.
pub(super) fn tar_gz(files: &[(String, Vec<u8>)], seconds: u64) -> Vec<u8> {
    gzip(&tar(files, seconds))
}

fn tar(files: &[(String, Vec<u8>)], seconds: u64) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        tar.extend(header(name, content.len(), seconds));
        tar.extend(content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks are the end.
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

/// The header of a file that its owner alone may read.
fn header(name: &str, length: usize, seconds: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(BLOCK);
    let mut field = |text: &str, width: usize| {
        let end = header.len() + width;
        header.extend(text.bytes().take(width));
        header.resize(end, 0);
    };
    field(name, 100);
    field("0000600", 8);
    field("0000000", 8);
    field("0000000", 8);
    field(&format!("{length:011o}"), 12);
    field(&format!("{seconds:011o}"), 12);
    field("        ", 8);
    field("0", 1);
    field("", 100);
    field("ustar", 6);
    field("00", 2);
    field("", BLOCK - 265);
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    let sum = format!("{sum:06o}\0 ");
    header.splice(148..156, sum.bytes());
    header
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Deflate, no flags, no time, no hints, Unix.
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut blocks = bytes.chunks(STORED_MAX).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or_default();
        gzip.push(u8::from(blocks.peek().is_none()));
        gzip.extend(length.to_le_bytes());
        gzip.extend((!length).to_le_bytes());
        gzip.extend(block);
    }
    gzip.extend(crc32(bytes).to_le_bytes());
    let length = u32::try_from(bytes.len() % (1 << 32)).unwrap_or_default();
    gzip.extend(length.to_le_bytes());
    gzip
}

/// The sum of RFC 1952, bit by bit: there is little to sum up.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (sum & 1).wrapping_neg();
            sum = (sum >> 1) ^ (0xedb8_8320 & mask);
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_everybody() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    /// As GNU tar reads it.
    #[test]
    fn what_is_packed_is_unpacked_by_the_systems_tar() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.tar.gz");
        let long = vec![b'x'; 200_000];
        let files =
            [("a/one.txt".to_owned(), b"one\n".to_vec()), ("a/long".to_owned(), long.clone())];
        std::fs::write(&file, tar_gz(&files, 1_700_000_000)).unwrap();
        let tar = std::process::Command::new("tar")
            .arg("-xzf")
            .arg(&file)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(tar.status.success() && tar.stderr.is_empty(), "{tar:?}");
        assert_eq!(std::fs::read(directory.path().join("a/one.txt")).unwrap(), b"one\n");
        assert_eq!(std::fs::read(directory.path().join("a/long")).unwrap(), long);
    }
}
