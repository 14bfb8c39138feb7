//! Bodies of HTTP as gzip (RFC 1952), for whoever takes it (RFC 9110, 12.5.3).
//!
//! Asked by `http` and `metrics` for what they answer. Pure. Stays true: the quickest level, since
//! answers are text that shrinks to a tenth with any; what is small is left as it is.

use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;
use miniz_oxide::deflate::compress_to_vec;

/// Shorter bodies are not worth it: they go in one packet anyway.
pub(crate) const LEAST_BYTES: usize = 1024;
/// The quickest that looks for repetitions.
const LEVEL: u8 = 1;
/// The magic number, deflate, no flags, no time, the quickest level, any system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// Whether the headers of a request say that gzip may come.
pub(crate) fn is_accepted(asked: &HeaderMap) -> bool {
    let header = asked.get(ACCEPT_ENCODING).and_then(|header| header.to_str().ok());
    header.is_some_and(is_listed)
}

fn is_listed(header: &str) -> bool {
    let mut any = None;
    for part in header.split(',') {
        let mut words = part.split(';').map(str::trim);
        let name = words.next().unwrap_or_default();
        let weight = words.find_map(|word| word.strip_prefix("q=")).unwrap_or("1");
        let is_wanted = weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0);
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return is_wanted;
        }
        if name == "*" {
            any = Some(is_wanted);
        }
    }
    any.unwrap_or(false)
}

/// The bytes in a stream of gzip.
pub(crate) fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut stream = HEAD.to_vec();
    stream.extend(compress_to_vec(bytes, LEVEL));
    stream.extend(crc32fast::hash(bytes).to_le_bytes());
    // Its length modulo 2³².
    let length = bytes.len() as u64 & u64::from(u32::MAX);
    stream.extend(length.to_le_bytes().into_iter().take(4));
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip_says_so() {
        for header in ["gzip", "deflate, gzip;q=1.0, *;q=0.5", "GZIP;q=0.1", "*", "br, x-gzip"] {
            assert!(is_listed(header), "{header}");
        }
        for header in ["", "identity", "gzip;q=0", "gzip; q=0.0, *", "*;q=0", "br", "gzip;q=x"] {
            assert!(!is_listed(header), "{header}");
        }
    }

    #[test]
    fn what_is_compressed_comes_out_as_it_was() {
        for bytes in [Vec::new(), b"x".to_vec(), b"abc".repeat(100_000), (0..=255).collect()] {
            let stream = compressed(&bytes);
            let (head, rest) = stream.split_at(HEAD.len());
            let (body, tail) = rest.split_at(rest.len() - 8);
            assert_eq!(head, HEAD);
            assert_eq!(miniz_oxide::inflate::decompress_to_vec(body).unwrap(), bytes);
            let (crc, length) = tail.split_at(4);
            assert_eq!(crc, crc32fast::hash(&bytes).to_le_bytes());
            assert_eq!(length, u32::try_from(bytes.len()).unwrap().to_le_bytes());
        }
        assert!(compressed(&b"abc".repeat(100_000)).len() < 3000);
    }
}
