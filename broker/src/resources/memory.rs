//! How much memory this process may use: the machine's, or what its control groups leave it.
//!
//! Asked by `resources`. A control group is bounded by all that it lies in, so the least of them
//! counts; of version 1 and of version 2 of control groups. See cgroups(7).

use std::fs;
use std::path::{Path, PathBuf};

/// Where the system says so.
#[derive(Debug, Clone)]
pub(super) struct System {
    root: PathBuf,
}

/// A hierarchy of control groups: where it is mounted, and what its groups call their bound.
struct Hierarchy {
    mount: &'static str,
    file: &'static str,
}

const VERSION_2: Hierarchy = Hierarchy { mount: "sys/fs/cgroup", file: "memory.max" };
const VERSION_1: Hierarchy =
    Hierarchy { mount: "sys/fs/cgroup/memory", file: "memory.limit_in_bytes" };

impl Default for System {
    fn default() -> Self {
        Self { root: "/".into() }
    }
}

impl System {
    /// Bytes this process may use, of a machine with `machine` bytes.
    pub(super) fn usable(&self, machine: u64) -> u64 {
        let own = fs::read_to_string(self.root.join("proc/self/cgroup")).unwrap_or_default();
        own.lines().filter_map(|line| self.bound(line)).fold(machine, u64::min)
    }

    /// The bound by a line of /proc/self/cgroup: number, controllers, path.
    fn bound(&self, line: &str) -> Option<u64> {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let Hierarchy { mount, file } = match controllers {
            "" => VERSION_2,
            list if list.split(',').any(|controller| controller == "memory") => VERSION_1,
            _ => return None,
        };
        let mount = self.root.join(mount);
        let group = Path::new(path.trim_start_matches('/'));
        // In a container the path may be the host's, which leads nowhere here; then the mount itself
        // is our group.
        let groups = group.ancestors().map(|group| mount.join(group).join(file));
        let bounds = groups.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
        bounds.min()
    }
}

/// Bytes of memory the machine has.
pub(super) fn machine_bytes() -> u64 {
    let machine = rustix::system::sysinfo();
    (machine.totalram as u64).saturating_mul(u64::from(machine.mem_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: u64 = 16 << 30;

    /// A system with these files.
    fn usable(files: &[(&str, &str)]) -> u64 {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        System { root: directory.path().to_owned() }.usable(MACHINE)
    }

    #[test]
    fn without_control_groups_it_is_the_machines() {
        assert_eq!(usable(&[]), MACHINE);
        let unbounded = [
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "max\n"),
            ("sys/fs/cgroup/b/memory.max", "5\n"),
        ];
        assert_eq!(usable(&unbounded), MACHINE);
    }

    #[test]
    fn the_least_of_all_groups_around_counts() {
        let nested = [
            ("proc/self/cgroup", "0::/pod/container\n"),
            ("sys/fs/cgroup/pod/container/memory.max", "max\n"),
            ("sys/fs/cgroup/pod/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/memory.max", "2147483648\n"),
        ];
        assert_eq!(usable(&nested), 1 << 30);
        let more_than_there_is =
            [("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "99999999999999\n")];
        assert_eq!(usable(&more_than_there_is), MACHINE);
    }

    #[test]
    fn the_first_version_has_a_hierarchy_for_memory() {
        let groups = "12:pids:/x\n5:cpu,memory:/docker/1\n1:name=systemd:/docker/1\n0::/\n";
        let own = [
            ("proc/self/cgroup", groups),
            ("sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "536870912\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(usable(&own), 512 << 20);
        // The host's path, seen from inside a container.
        let inside = [
            ("proc/self/cgroup", groups),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
        ];
        assert_eq!(usable(&inside), 256 << 20);
    }
}
