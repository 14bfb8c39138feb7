//! `leveret dev`: a broker to try things with, gone when it ends.
//!
//! Called by `main`. It listens on 127.0.0.1 alone, at ports that are free, and keeps its data in a
//! directory of its own in memory (a tmpfs), or among temporary files where there is none with room: the
//! store is the same as in earnest, and nothing of it is left. Stays true: no configuration file counts
//! that nobody named, and no other directory is written to.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::config::{Config, ConfigError, ServeOptions};
use crate::ctl::client::segment;
use crate::{healthcheck, logging, server};

/// Where Linux keeps files in memory.
const IN_MEMORY: &str = "/dev/shm";
/// With less room there, as containers have it, temporary files are taken.
const ROOM_MIN: u64 = 1 << 30;
/// How the directories of such brokers begin; their process id follows.
const PREFIX: &str = "leveret-dev-";
/// So many ports are tried from RabbitMQ's own on.
const PORTS_TRIED: u16 = 200;
const AMQP: u16 = 5672;
const MANAGEMENT: u16 = 15672;
/// How often it is looked whether the broker answers.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How the broker is to be.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DevArguments {
    /// The AMQP port; without it, the first that is free from 5672 on
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// The port of the management API; without it, the first that is free from 15672 on
    #[arg(long, value_name = "N")]
    management_port: Option<u16>,
    /// A configuration file; without it, none is read
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged: debug, info, notice, warning, error, critical or none
    #[arg(long, value_name = "LEVEL", default_value = "warning")]
    log_level: String,
}

/// Why there is no broker. One line.
#[derive(Debug, thiserror::Error)]
enum DevError {
    #[error("port {0} is taken")]
    Taken(u16),
    #[error("no port is free from {0} on")]
    NonePort(u16),
    #[error("cannot make a directory in {0}: {1}")]
    Directory(PathBuf, io::Error),
}

/// Runs it until it is told to end.
///
/// # Errors
/// The configuration makes no sense, a port is taken, or the broker cannot start.
pub fn run(
    asked: &DevArguments,
    environment: impl Fn(&str) -> Option<String> + Copy + Send + 'static,
) -> Result<(), Box<dyn std::error::Error>> {
    let amqp = port(asked.port, AMQP)?;
    let management = port(asked.management_port, MANAGEMENT)?;
    let scratch = Scratch::make()?;
    let options = ServeOptions {
        // A file that says nothing: those of the system are for another broker.
        config: Some(asked.config.clone().unwrap_or_else(|| "/dev/null".into())),
        data_dir: Some(scratch.data()),
        port: asked.config.is_some().then_some(amqp),
        log_level: Some(asked.log_level.clone()),
    };
    let is_named = asked.config.is_some();
    let read = move || configuration(&options, environment, is_named, amqp, management);
    let config = read()?;
    let log = logging::init(&config.logging)?;
    let greeting = greeting(&config, amqp, management, &scratch);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        tokio::spawn(greet(amqp, greeting));
        server::run(config, log, read).await
    });
    drop(scratch);
    ended.map_err(Into::into)
}

fn configuration(
    options: &ServeOptions,
    environment: impl Fn(&str) -> Option<String>,
    is_named: bool,
    amqp: u16,
    management: u16,
) -> Result<Config, ConfigError> {
    // Of the environment only who there is, unless there is a file, which may name variables.
    let environment =
        |name: &str| (is_named || name.contains("DEFAULT_")).then(|| environment(name)).flatten();
    let mut config = Config::load(options, environment)?;
    if !is_named {
        config.listeners.addresses = vec![here(amqp)];
    }
    config.management.tcp = Some(here(management));
    config.prometheus = None;
    Ok(config)
}

fn here(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The port that is wanted, or the first that is free from one on.
fn port(wanted: Option<u16>, from: u16) -> Result<u16, DevError> {
    let is_free = |port: &u16| TcpListener::bind(here(*port)).is_ok();
    match wanted {
        Some(port) if is_free(&port) => Ok(port),
        Some(port) => Err(DevError::Taken(port)),
        None => {
            (from..from.saturating_add(PORTS_TRIED)).find(is_free).ok_or(DevError::NonePort(from))
        }
    }
}

/// A directory that goes with the broker.
struct Scratch {
    path: PathBuf,
    is_in_memory: bool,
}

impl Scratch {
    fn make() -> Result<Self, DevError> {
        let memory = Path::new(IN_MEMORY);
        let is_in_memory = has_room(memory);
        let place = if is_in_memory { memory.to_owned() } else { std::env::temp_dir() };
        clear_away(&place);
        let path = place.join(format!("{PREFIX}{}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| DevError::Directory(place, error))?;
        Ok(Self { path, is_in_memory })
    }

    fn data(&self) -> PathBuf {
        self.path.join("data")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever comes next clears away what could not be.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn has_room(place: &Path) -> bool {
    let free = |stat: rustix::fs::StatVfs| stat.f_bavail.saturating_mul(stat.f_frsize);
    let writable = rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_ok();
    writable && rustix::fs::statvfs(place).is_ok_and(|stat| free(stat) >= ROOM_MIN)
}

/// Takes away what is left of brokers that were killed.
fn clear_away(place: &Path) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        let is_left = pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if is_left && !is_locked(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a broker of another container has it, whose processes are not seen here.
fn is_locked(path: &Path) -> bool {
    match fs::File::open(path.join("data/leveret.lock")) {
        Ok(lock) => lock.try_lock().is_err(),
        Err(_) => false,
    }
}

/// Says what to connect to, once there is something.
#[expect(clippy::print_stdout, reason = "it is what somebody waits for")]
async fn greet(amqp: u16, greeting: String) {
    while healthcheck::check_port(amqp).await.is_err() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    println!("{greeting}");
}

fn greeting(config: &Config, amqp: u16, management: u16, scratch: &Scratch) -> String {
    let seed = &config.seed;
    let (user, password) = (segment(&seed.user), segment(seed.password.expose()));
    let url = format!("amqp://{user}:{password}@127.0.0.1:{amqp}/{}", segment(&seed.vhost));
    let place = match scratch.is_in_memory {
        true => "in memory",
        false => "among temporary files, for want of memory that is a file system",
    };
    format!(
        "\
Leveret {version} runs, its data {place}, and gone when it ends: with Ctrl-C

  AMQP          {url}
  management    http://127.0.0.1:{management}/   {user} / {password}
  command line  leveret ctl --data-dir {directory} list_queues

  Python, with pika:
    import pika
    channel = pika.BlockingConnection(pika.URLParameters(\"{url}\")).channel()
    channel.queue_declare(\"hello\")
    channel.basic_publish(\"\", \"hello\", b\"hello\")

  Node, with amqplib:
    const connection = await require(\"amqplib\").connect(\"{url}\")
    const channel = await connection.createChannel()
    await channel.assertQueue(\"hello\")
    channel.sendToQueue(\"hello\", Buffer.from(\"hello\"))
",
        version = env!("CARGO_PKG_VERSION"),
        directory = scratch.data().display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_not_given() {
        let taken = TcpListener::bind(here(0)).unwrap();
        let number = taken.local_addr().unwrap().port();
        assert!(matches!(port(Some(number), AMQP), Err(DevError::Taken(it)) if it == number));
        if number < u16::MAX {
            assert!(port(None, number).is_ok_and(|free| free > number));
        }
    }

    #[test]
    fn what_a_killed_broker_left_is_cleared_away() {
        let place = tempfile::tempdir().unwrap();
        // No process has so high a number.
        let left = place.path().join(format!("{PREFIX}4194999"));
        let held = place.path().join(format!("{PREFIX}4194998"));
        let own = place.path().join(format!("{PREFIX}{}", std::process::id()));
        let other = place.path().join("other-4194999");
        for path in [&left, &held, &own, &other] {
            fs::create_dir_all(path.join("data")).unwrap();
        }
        let lock = fs::File::create(held.join("data/leveret.lock")).unwrap();
        lock.lock().unwrap();
        clear_away(place.path());
        assert_eq!(
            [&left, &held, &own, &other].map(|path| path.exists()),
            [false, true, true, true]
        );
    }
}
