//! File systems of the test's own, to be filled up or to be cut off from their disk. They take root
//! and a kernel that mounts: where that is missing, the tests that need one say so and do nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::spawn;
use std::time::Duration;

use leveret_tests::deadline::{self, Deadline, TO_RUN, join, wait_for};
use rustix::process::geteuid;
use tempfile::TempDir;

/// How long the kernel may need to let go of a file system whose users have ended.
const TO_UNMOUNT: Duration = Duration::from_secs(10);

/// Stops the ext4 file system in its first argument the way a power failure does, once a line is
/// read: EXT4_IOC_SHUTDOWN, with nothing flushed.
const SWITCH: &str = "
import fcntl, os, struct, sys
volume = os.open(sys.argv[1], os.O_RDONLY)
print('armed', flush=True)
sys.stdin.readline()
fcntl.ioctl(volume, 0x8004587D, struct.pack('I', 2))
";

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ext4 on a file, behind a loop device.
    Ext4,
    /// Memory.
    Tmpfs,
}

/// A mounted file system; it is unmounted and gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Volume {
    directory: TempDir,
    kind: Kind,
}

impl Volume {
    /// Mounts one of this size; why not, if that is not possible here.
    pub(crate) fn mount(kind: Kind, megabytes: u64) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("mounting takes root".to_owned());
        }
        let directory = TempDir::with_prefix("leveret-volume-").expect("a temporary directory");
        std::fs::create_dir(directory.path().join("mounted")).expect("a directory");
        let volume = Self { directory, kind };
        if kind == Kind::Ext4 {
            let image = std::fs::File::create(volume.image()).expect("a file");
            image.set_len(megabytes << 20).expect("a sparse file");
            run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(volume.image()))?;
        }
        volume.attach(megabytes)?;
        Ok(volume)
    }

    fn attach(&self, megabytes: u64) -> Result<(), String> {
        let mut mount = Command::new("mount");
        match self.kind {
            Kind::Ext4 => mount.args(["-o", "loop"]).arg(self.image()),
            Kind::Tmpfs => mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "none"]),
        };
        run(mount.arg(self.path()))
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    /// Mounts it again after a power loss, as a machine does that starts anew.
    pub(crate) fn come_back(&self) {
        self.detach().expect("nobody uses the volume any more");
        self.attach(0).expect("what was mounted can be mounted again");
    }

    fn detach(&self) -> Result<(), String> {
        let deadline = Deadline::within("nobody uses the volume any more", TO_UNMOUNT);
        wait_for("an answer of umount", || {
            let outcome = run(Command::new("umount").arg(self.path()));
            (outcome.is_ok() || deadline.has_passed()).then_some(outcome)
        })
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if let Err(reason) = self.detach() {
            println!("{reason}");
        }
    }
}

/// Runs a command; what it printed if it failed.
fn run(command: &mut Command) -> Result<(), String> {
    let output = deadline::run(command);
    let reason = || format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    output.status.success().then_some(()).ok_or_else(reason)
}

/// A process that is ready to cut an ext4 volume off.
#[derive(Debug)]
pub(crate) struct PowerSwitch(Child);

impl PowerSwitch {
    /// Returns when the process is ready.
    pub(crate) fn arm(volume: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", SWITCH])
            .arg(volume)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 can be run");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let armed = spawn(move || BufReader::new(stdout).lines().next());
        let line = join("the power switch", armed).expect("a line").expect("text");
        assert_eq!(line, "armed");
        Self(child)
    }

    /// Cuts the power; afterwards nothing of the volume can be read or written.
    pub(crate) fn cut(mut self) {
        let mut stdin = self.0.stdin.take().expect("stdin is a pipe");
        stdin.write_all(b"\n").expect("the process waits for a line");
        let status = deadline::exit_of("the shutdown ioctl", &mut self.0, TO_RUN);
        assert!(status.success(), "the shutdown ioctl failed");
    }
}

impl Drop for PowerSwitch {
    fn drop(&mut self) {
        deadline::end(&mut self.0);
    }
}

/// Tells, past what the harness captures, that a test did nothing.
pub(crate) fn skip(test: &str, reason: &str) {
    writeln!(std::io::stderr(), "skipped {test}: {reason}").ok();
}
