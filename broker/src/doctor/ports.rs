//! Whether the ports can be had that the configuration names, and who has them else.
//!
//! A room of `doctor`. A port that the broker itself holds is as it should be.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use serde_json::Value;

use super::finding::Finding;
use crate::config::Config;
use crate::ctl::fields::{list, number};

const ABOUT: &str = "port";
/// State of a socket that listens, in /proc/net/tcp.
const LISTENS: &str = "0A";

/// A finding for each listener.
pub(super) fn check(config: &Config, overview: Option<&Value>) -> Vec<Finding> {
    let own: Vec<u64> = overview
        .map(|overview| list(overview, "listeners").iter().map(|one| number(one, "port")).collect())
        .unwrap_or_default();
    let mut findings = Vec::new();
    for (what, address) in wanted(config) {
        // Port 0 is any that is free.
        if address.port() != 0 {
            findings.push(one(what, address, &own));
        }
    }
    findings
}

fn wanted(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let amqp = config.listeners.addresses.iter().map(|address| ("AMQP", *address));
    let tls = config.tls.addresses.iter().map(|address| ("AMQP with TLS", *address));
    let management = config.management.tcp.map(|address| ("management", address));
    let with_tls = config.management.tls.as_ref();
    let with_tls = with_tls.map(|(address, _)| ("management with TLS", *address));
    let metrics = config.prometheus.map(|address| ("metrics", address));
    amqp.chain(tls).chain(management).chain(with_tls).chain(metrics).collect()
}

fn one(what: &str, address: SocketAddr, own: &[u64]) -> Finding {
    let port = address.port();
    if own.contains(&u64::from(port)) {
        return Finding::ok(ABOUT, format!("{port} for {what}: the broker listens there"));
    }
    match bind(address) {
        Ok(()) => Finding::ok(ABOUT, format!("{port} for {what} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let by = holder(Path::new("/proc"), port).map_or_else(
                || "another user's process".to_owned(),
                |name| format!("process {name}"),
            );
            let text = format!("{port} for {what} is held by {by}");
            Finding::bad(ABOUT, text, "end that, or give one of both another port")
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Finding::bad(
            ABOUT,
            format!("{port} for {what} may not be had: {error}"),
            "take a port above 1023, or give the broker CAP_NET_BIND_SERVICE",
        ),
        Err(error) => Finding::bad(
            ABOUT,
            format!("{address} for {what} cannot be had: {error}"),
            "name an address of this machine",
        ),
    }
}

fn bind(address: SocketAddr) -> io::Result<()> {
    let bound = TcpListener::bind(address);
    match bound {
        // As the broker does where there is no IPv6.
        Err(_) if address.ip().is_ipv6() && address.ip().is_unspecified() => {
            TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), address.port())).map(drop)
        }
        bound => bound.map(drop),
    }
}

/// The process that listens at a port, with its number, if this user may see it.
fn holder(proc: &Path, port: u16) -> Option<String> {
    let tables = ["net/tcp", "net/tcp6"].map(|name| fs::read_to_string(proc.join(name)));
    let tables = tables.into_iter().flatten().collect::<String>();
    let inode = tables.lines().find_map(|line| listening_inode(line, port))?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir(proc).ok()?.flatten();
    let mut processes = processes.filter(|entry| {
        entry.file_name().to_string_lossy().bytes().all(|letter| letter.is_ascii_digit())
    });
    let holds = |process: &fs::DirEntry| {
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|to| to == Path::new(&socket))
    };
    let process = processes.find(holds)?;
    let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
    Some(format!("{} (pid {})", name.trim(), process.file_name().to_string_lossy()))
}

/// The inode of a line of /proc/net/tcp, if it listens at the port.
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let (_, hex) = local.rsplit_once(':')?;
    let is_it = u16::from_str_radix(hex, 16).is_ok_and(|its| its == port) && state == LISTENS;
    is_it.then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn who_holds_a_port_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let own = holder(Path::new("/proc"), address.port());
        let pid = format!("(pid {})", std::process::id());
        assert!(own.is_some_and(|own| own.ends_with(&pid)));
        let finding = one("AMQP", address, &[]);
        assert_eq!(finding.level, Level::Bad, "{finding:?}");
        assert!(finding.text.contains(&pid), "{finding:?}");
        assert_eq!(one("AMQP", address, &[address.port().into()]).level, Level::Ok);
        drop(taken);
        assert_eq!(one("AMQP", address, &[]).level, Level::Ok);
    }

    #[test]
    fn lines_of_the_systems_table_are_read() {
        let line = "   0: 0100007F:1628 00000000:0000 0A 00000000:00000000 00:00000000 00000000  999        0 4711 1 0000";
        assert_eq!(listening_inode(line, 0x1628), Some("4711"));
        assert_eq!(listening_inode(line, 5), None);
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 0x1628), None);
        assert_eq!(listening_inode("  sl  local_address rem_address   st", 1), None);
    }
}
