//! The PROXY protocol, versions 1 and 2: who the client is of a connection that a proxy opened
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! `read` takes the header off a socket and not a byte more; the rest is pure. What is sent beside
//! the addresses is passed over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1, its end included.
const LINE_MAX: usize = 107;

/// Both ends of a connection as the proxy has it: the client, and what it connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The client.
    pub peer: SocketAddr,
    /// The proxy's address that it connected to.
    pub local: SocketAddr,
}

/// Why a header cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// The socket ended or failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is none.
    #[error(
        "a header of the PROXY protocol was expected, since proxy_protocol is true: let the proxy \
         send one (send-proxy), or set proxy_protocol = false"
    )]
    NoHeader,
}

/// Reads the header; `None` if it names no client, as that of a proxy's own health check.
///
/// # Errors
/// There is none, or the socket failed.
pub(crate) async fn read(
    socket: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Ends>, ProxyError> {
    let mut start = [0; 12];
    // Whatever is shorter than the start of both versions is decided as early as it can be.
    let mut length = 0;
    while length < start.len() {
        let count = socket.read(start.get_mut(length..).unwrap_or_default()).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        length += count;
        let so_far = start.get(..length).unwrap_or_default();
        if !SIGNATURE.starts_with(so_far) && !starts_line(so_far) {
            return Err(ProxyError::NoHeader);
        }
    }
    if start == *SIGNATURE {
        let mut rest = [0; 4];
        socket.read_exact(&mut rest).await?;
        let [version_and_command, family, high, low] = rest;
        let mut addresses = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        socket.read_exact(&mut addresses).await?;
        return version_2(version_and_command, family, &addresses).ok_or(ProxyError::NoHeader);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE_MAX {
            return Err(ProxyError::NoHeader);
        }
        line.push(socket.read_u8().await?);
    }
    version_1(&line).ok_or(ProxyError::NoHeader)
}

fn starts_line(bytes: &[u8]) -> bool {
    let start = b"PROXY ";
    let shared = bytes.len().min(start.len());
    bytes.get(..shared) == start.get(..shared)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 50000 5672` and the like.
fn version_1(line: &[u8]) -> Option<Option<Ends>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (peer, local): (IpAddr, IpAddr) =
        (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (peer_port, local_port) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let fits = match family {
        "TCP4" => peer.is_ipv4() && local.is_ipv4(),
        "TCP6" => peer.is_ipv6() && local.is_ipv6(),
        _ => false,
    };
    let is_whole = words.next().is_none();
    (fits && is_whole).then(|| {
        let (peer, local) = (SocketAddr::new(peer, peer_port), SocketAddr::new(local, local_port));
        Some(Ends { peer, local })
    })
}

/// The binary form: `addresses` is what follows the 16 bytes that every header has.
fn version_2(version_and_command: u8, family: u8, addresses: &[u8]) -> Option<Option<Ends>> {
    let proxies = match version_and_command {
        // LOCAL: the proxy speaks for itself.
        0x20 => false,
        0x21 => true,
        _ => return None,
    };
    let ends = |size: usize, address: fn(&[u8]) -> Option<IpAddr>| {
        let port = |at: usize| {
            let bytes = addresses.get(at..at + 2)?;
            Some(u16::from_be_bytes(bytes.try_into().ok()?))
        };
        let peer = SocketAddr::new(address(addresses.get(..size)?)?, port(2 * size)?);
        let local = address(addresses.get(size..2 * size)?)?;
        Some(Ends { peer, local: SocketAddr::new(local, port(2 * size + 2)?) })
    };
    match family {
        _ if !proxies => Some(None),
        0x11 => Some(Some(ends(4, ipv4)?)),
        0x21 => Some(Some(ends(16, ipv6)?)),
        // Unix sockets, datagrams, and what is not said: no address of a client.
        _ => Some(None),
    }
}

fn ipv4(octets: &[u8]) -> Option<IpAddr> {
    let octets: [u8; 4] = octets.try_into().ok()?;
    Some(Ipv4Addr::from(octets).into())
}

fn ipv6(octets: &[u8]) -> Option<IpAddr> {
    let octets: [u8; 16] = octets.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read of these bytes, and how many are left.
    fn read_all(mut bytes: &[u8]) -> (Result<Option<Ends>, ProxyError>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(read(&mut bytes));
        (result, bytes.len())
    }

    fn ends(peer: &str, local: &str) -> Option<Ends> {
        Some(Ends { peer: peer.parse().unwrap(), local: local.parse().unwrap() })
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, addresses].concat()
    }

    #[test]
    fn lines_of_version_1() {
        for (line, expected) in [
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 50000 5672",
                ends("192.0.2.1:50000", "192.0.2.2:5672"),
            ),
            ("PROXY TCP6 ::1 2001:db8::2 1 2", ends("[::1]:1", "[2001:db8::2]:2")),
            ("PROXY UNKNOWN", None),
            ("PROXY UNKNOWN ffff::1 ::1 1 2", None),
        ] {
            let bytes = format!("{line}\r\nAMQP");
            let (result, left) = read_all(bytes.as_bytes());
            assert_eq!((result.unwrap(), left), (expected, 4), "{line}");
        }
    }

    #[test]
    fn headers_of_version_2() {
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0xc3, 0x50, 0x16, 0x28];
        let mut six = [0; 36];
        (six[15], six[31], six[33], six[35]) = (1, 2, 3, 4);
        let with_more = [&four[..], &[4, 0, 1, 0]].concat();
        for (bytes, expected) in [
            (v2(0x21, 0x11, &four), ends("192.0.2.1:50000", "192.0.2.2:5672")),
            (v2(0x21, 0x11, &with_more), ends("192.0.2.1:50000", "192.0.2.2:5672")),
            (v2(0x21, 0x21, &six), ends("[::1]:3", "[::2]:4")),
            (v2(0x20, 0, &[]), None),
            (v2(0x20, 0x11, &four), None),
            (v2(0x21, 0x31, &[0; 216]), None),
        ] {
            let (result, left) = read_all(&[&bytes[..], b"AMQP"].concat());
            assert_eq!((result.unwrap(), left), (expected, 4), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_once() {
        for bytes in [
            &b"AMQP"[..],
            b"PROXX",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 50000\r\n",
            b"PROXY TCP4 ::1 ::2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 99999\r\n",
            b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &[&b"PROXY UNKNOWN "[..], &[b'a'; 200]].concat(),
        ] {
            let (result, _) = read_all(bytes);
            assert!(matches!(result, Err(ProxyError::NoHeader)), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..64), which in 0..3) {
            let start: &[u8] = match which { 0 => b"", 1 => b"PROXY ", _ => SIGNATURE };
            let (result, _) = read_all(&[start, &bytes].concat());
            prop_assert!(!matches!(result, Ok(Some(ends)) if ends.peer == ends.local && which == 0));
        }
    }
}
