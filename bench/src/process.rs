//! What a process costs: CPU time, resident memory and bytes for the disk, read from `/proc`.
//!
//! Used for the broker under load, whatever it is written in, and for the load generator itself.
//! Everything here answers "unknown" on systems without `/proc` and for processes of other
//! machines or users.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::time::Duration;

/// The processes whose cost is counted together: usually one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    pids: Vec<u32>,
}

/// Cost of some processes at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time since they started, in steps of the kernel's tick (10 ms).
    ticks: Duration,
    /// The same to the nanosecond, by thread, of the threads that live.
    threads: HashMap<u32, Duration>,
    /// Bytes it caused to be written to disks; none when one process may not be asked.
    written: Option<u64>,
}

impl Usage {
    /// Bytes written to disks between `before` and now. Counted in whole pages when they are made
    /// dirty, so one that is filled in several steps with a sync between them counts for each.
    pub(crate) fn written_since(&self, before: &Self) -> Option<u64> {
        Some(self.written?.saturating_sub(before.written?))
    }

    /// CPU time spent between `before` and now, for a process whose threads come and go.
    pub(crate) const fn ticks_since(&self, before: &Self) -> Duration {
        self.ticks.saturating_sub(before.ticks)
    }

    /// CPU time spent between `before` and now.
    ///
    /// The threads know it best, but one that has ended took its share along; then the ticks do.
    pub(crate) fn cpu_since(&self, before: &Self) -> Duration {
        const TICK_ERROR: Duration = Duration::from_millis(30);
        let spent = self.threads.iter().map(|(thread, time)| {
            time.saturating_sub(before.threads.get(thread).copied().unwrap_or_default())
        });
        let (fine, coarse) = (spent.sum(), self.ticks_since(before));
        if coarse > fine + TICK_ERROR { coarse } else { fine }
    }
}

impl Processes {
    /// The given processes or, without any, the one that listens at `host` and `port` if that is
    /// on this machine.
    pub(crate) fn find(pids: &[u32], host: &str, port: u16) -> Self {
        if !pids.is_empty() {
            return Self { pids: pids.to_vec() };
        }
        let Ok(mut addresses) = (host, port).to_socket_addrs() else { return Self::default() };
        let local = addresses.any(|address| address.ip().is_loopback());
        Self { pids: if local { listeners(port) } else { Vec::new() } }
    }

    /// This process.
    pub(crate) fn own() -> Self {
        Self { pids: vec![std::process::id()] }
    }

    /// The CPU time of all of them; none when one cannot be read.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let mut sum = Usage { written: Some(0), ..Usage::default() };
        for pid in &self.pids {
            sum.ticks += stat(*pid)?.0;
            sum.threads.extend(threads(*pid));
            sum.written = sum.written.zip(written(*pid)).map(|(sum, written)| sum + written);
        }
        (!self.pids.is_empty()).then_some(sum)
    }

    /// Resident memory of all of them in bytes; none when one cannot be read.
    pub(crate) fn memory(&self) -> Option<u64> {
        let bytes = self.pids.iter().map(|pid| Some(stat(*pid)?.1)).sum();
        if self.pids.is_empty() { None } else { bytes }
    }
}

/// CPU time and resident bytes of a process.
fn stat(pid: u32) -> Option<(Duration, u64)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Takes CPU time and memory out of `/proc/<pid>/stat`, whose second field may hold anything
/// between parentheses. See proc_pid_stat(5).
fn parse_stat(stat: &str) -> Option<(Duration, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let pages: u64 = fields.nth(8)?.parse().ok()?;
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let cpu = Duration::from_nanos((user + system) * (1_000_000_000 / ticks));
    Some((cpu, pages * u64::try_from(rustix::param::page_size()).ok()?))
}

/// The CPU time of each thread of a process; the kernel may be built not to tell.
fn threads(pid: u32) -> HashMap<u32, Duration> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return HashMap::new() };
    let time = |task: fs::DirEntry| {
        let line = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanoseconds = line.split_ascii_whitespace().next()?.parse().ok()?;
        let thread = task.file_name().to_str()?.parse().ok()?;
        Some((thread, Duration::from_nanos(nanoseconds)))
    };
    tasks.flatten().filter_map(time).collect()
}

/// Bytes a process caused to be written to disks. See proc_pid_io(5); only its owner may ask.
fn written(pid: u32) -> Option<u64> {
    parse_io(&fs::read_to_string(format!("/proc/{pid}/io")).ok()?)
}

fn parse_io(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// The processes that listen on TCP port `port` of this machine.
fn listeners(port: u16) -> Vec<u32> {
    let mut sockets = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let lines = fs::read_to_string(table).unwrap_or_default();
        sockets.extend(lines.lines().filter_map(|line| listening_inode(line, port)));
    }
    if sockets.is_empty() {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| holds(&Path::new("/proc").join(pid.to_string()), &sockets)).collect()
}

/// The socket of one line of `/proc/net/tcp`, when it listens on `port`.
fn listening_inode(line: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_, local_port) = fields.next()?.rsplit_once(':')?;
    let listens = fields.nth(1)? == LISTEN;
    let inode = fields.nth(5)?.parse().ok()?;
    (listens && u16::from_str_radix(local_port, 16).ok()? == port).then_some(inode)
}

fn holds(process: &Path, sockets: &HashSet<u64>) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let target = fs::read_link(descriptor.path()).ok();
        let inode = target.as_deref().and_then(Path::to_str).and_then(|target| {
            target.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
        });
        inode.is_some_and(|inode| sockets.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn stat_lines_are_read_whatever_the_name_is() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 10 0 0 0 150 50 0 0 20 0 4 0 99 1000000 7 \
                    18446744073709551615 1 1 0 0 0";
        let (cpu, memory) = parse_stat(stat).unwrap();
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(cpu, Duration::from_nanos(200 * 1_000_000_000 / ticks));
        assert_eq!(memory, 7 * rustix::param::page_size() as u64);
        assert_eq!(parse_stat("42 (x) S 1"), None);
    }

    #[test]
    fn bytes_for_the_disk_are_told_from_those_for_sockets() {
        let io = "rchar: 9\nwchar: 8\nsyscr: 7\nsyscw: 6\nread_bytes: 5\nwrite_bytes: 4096\n\
                  cancelled_write_bytes: 3\n";
        assert_eq!(parse_io(io), Some(4096));
        assert_eq!(parse_io("rchar: 9\n"), None);
        let usage = |written| Usage { written, ..Usage::default() };
        assert_eq!(usage(Some(9)).written_since(&usage(Some(4))), Some(5));
        assert_eq!(usage(Some(9)).written_since(&usage(None)), None);
    }

    #[test]
    fn listening_sockets_are_told_from_others() {
        let line = |state| {
            format!(
                "   0: 0100007F:1629 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 \
                 0 0 31337 1 0000000000000000 100 0 0 10 0"
            )
        };
        assert_eq!(listening_inode(&line("0A"), 5673), Some(31337));
        assert_eq!(listening_inode(&line("0A"), 5672), None);
        assert_eq!(listening_inode(&line("01"), 5673), None);
        assert_eq!(listening_inode("  sl  local_address rem_address   st", 5673), None);
    }

    #[test]
    fn the_owner_of_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = Processes::find(&[], "127.0.0.1", port);
        assert_eq!(found.pids, [std::process::id()]);
        assert!(found.memory().unwrap() > 0);
        assert!(found.usage().is_some());
        drop(listener);
        assert_eq!(Processes::find(&[], "127.0.0.1", port).usage(), None);
        assert_eq!(Processes::find(&[7], "127.0.0.1", port).pids, [7]);
    }

    #[test]
    fn threads_are_exact_until_one_has_ended() {
        let ms = Duration::from_millis;
        let usage = |ticks, threads: &[(u32, Duration)]| Usage {
            ticks: ms(ticks),
            threads: threads.iter().copied().collect(),
            written: None,
        };
        let before = usage(100, &[(1, ms(60)), (2, ms(45))]);
        let later = usage(120, &[(1, ms(66)), (2, ms(47)), (3, ms(4))]);
        assert_eq!(later.cpu_since(&before), ms(12));
        let without_one = usage(400, &[(1, ms(70))]);
        assert_eq!(without_one.cpu_since(&before), ms(300));
        let unknown = usage(120, &[]);
        assert_eq!(unknown.cpu_since(&usage(60, &[])), ms(60));
    }
}
