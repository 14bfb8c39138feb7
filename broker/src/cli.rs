//! The command line: what can be asked of the broker, by argument or by the name
//! it is called under. `main` acts on it, and may offer further commands beside
//! these; a mistake in it exits with 2.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::check::{self, CheckArguments};
use crate::config::ServeOptions;
use crate::ctl::commands::Tool;
use crate::dev::DevArguments;
use crate::doctor::DoctorArguments;
use crate::explain::Explained;
use crate::migrate::MigrateArguments;
use crate::password::HashingAlgorithm;
use crate::tap::{TapArguments, TraceArguments};
use crate::top::TopArguments;
use crate::upgrade::UpgradeCommand;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the broker (also without any subcommand)
    #[command(alias = "rabbitmq-server")]
    Server(ServeOptions),
    /// Ask a broker on this machine whether it accepts AMQP connections
    Healthcheck {
        /// Its AMQP port; without it, where the configuration has it listen
        #[arg(long)]
        port: Option<u16>,
    },
    /// Print the salted hash of a password, as definitions files carry it
    HashPassword {
        /// The password; without it, the first line of standard input
        password: Option<String>,
        /// How it is hashed: sha256, sha512, md5 or argon2id
        #[arg(long, default_value = "sha256", value_parser = algorithm)]
        algorithm: HashingAlgorithm,
    },
    /// Look at configuration files
    Config {
        /// What to do with them.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look at who may log in, and do what
    Auth {
        /// What to look at.
        #[command(subcommand)]
        command: AuthCommand,
    },
    /// Ask a running broker, or tell it something: the commands of `rabbitmqctl` and its like
    #[command(disable_help_flag = true)]
    Ctl {
        /// The program of RabbitMQ whose name this one was called by, if it was.
        #[arg(skip)]
        program: Option<String>,
        /// The command, and what it is called with; `help` says which there are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Make a running broker have what a file in YAML or JSON says, or say what that would change
    #[command(disable_help_flag = true)]
    Apply(CtlWords),
    /// Run a broker to try things with: in memory, on this machine alone, gone when it ends
    Dev(DevArguments),
    /// Say why nothing moves, or where a message would go: queue NAME, connection NAME, publish EXCHANGE KEY
    #[command(disable_help_flag = true)]
    Explain(CtlWords),
    /// Say which queues a message would reach: EXCHANGE and, if it has one, KEY
    #[command(disable_help_flag = true)]
    Route(CtlWords),
    /// Look at the messages of a queue, which stay there
    #[command(disable_help_flag = true)]
    Peek(CtlWords),
    /// Bring dead letters of a queue back to where they died
    #[command(disable_help_flag = true)]
    Redrive(CtlWords),
    /// Copy everything that a running broker keeps into a file
    #[command(disable_help_flag = true)]
    Backup(CtlWords),
    /// Bring definitions and messages of a running RabbitMQ into a running broker
    Migrate(Box<MigrateArguments>),
    /// Make a data directory of a backup
    Restore {
        /// What `leveret backup` wrote
        file: PathBuf,
        /// The data directory, which is not there yet or is empty
        directory: PathBuf,
    },
    /// Say what is wrong, or soon will be, with a broker, its configuration or its machine
    Doctor(DoctorArguments),
    /// Say what an upgrade would do
    Upgrade {
        /// What to say of it.
        #[command(subcommand)]
        command: UpgradeCommand,
    },
    /// See what goes on, again and again: rates, the busiest queues, connections that are held back
    Top(Box<TopArguments>),
    /// Print messages as an exchange is given them, without taking any away
    Tap(Box<TapArguments>),
    /// Print what happens to messages: where they are published, into which queues, to whom they go
    Trace(Box<TraceArguments>),
    /// Manage a broker over its HTTP API as rabbitmqadmin does, in the grammar of either version
    #[command(disable_help_flag = true, name = "rabbitmqadmin")]
    Admin(CtlWords),
    /// Check a running broker for Nagios and its like: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    Check(Box<CheckArguments>),
    /// Check the stored messages of a broker that is not running
    Verify {
        /// Its data directory
        directory: PathBuf,
        /// Cut out what is damaged, so that the broker starts again without it
        #[arg(long)]
        salvage: bool,
    },
}

/// What a command of `ctl` is called with that has a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CtlWords {
    /// As `leveret ctl help COMMAND` says
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

impl Command {
    /// The program's name and the words, if this is a command of `ctl`.
    #[must_use]
    pub fn for_ctl(&self) -> Option<(Option<&str>, Vec<OsString>)> {
        let (name, words) = match self {
            Self::Ctl { program, arguments } => {
                return Some((program.as_deref(), arguments.clone()));
            }
            Self::Apply(words) => ("apply", words),
            Self::Explain(words) => ("explain", words),
            Self::Route(words) => ("route", words),
            Self::Peek(words) => ("peek", words),
            Self::Redrive(words) => ("redrive", words),
            Self::Backup(words) => ("backup", words),
            Self::Server(_)
            | Self::Healthcheck { .. }
            | Self::HashPassword { .. }
            | Self::Config { .. }
            | Self::Auth { .. }
            | Self::Check(_)
            | Self::Dev(_)
            | Self::Migrate(_)
            | Self::Restore { .. }
            | Self::Doctor(_)
            | Self::Upgrade { .. }
            | Self::Admin(_)
            | Self::Top(_)
            | Self::Tap(_)
            | Self::Trace(_)
            | Self::Verify { .. } => return None,
        };
        let words = std::iter::once(name.into()).chain(words.arguments.iter().cloned());
        Some((None, words.collect()))
    }
}

/// What to say of users.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AuthCommand {
    /// Say what every backend says of a user or a token, and why it may do something or may not
    Explain(Box<Explained>),
}

/// What to do with configuration files.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Say what is wrong with a file and those in conf.d beside it, and what has no effect
    Check {
        /// The file; without it, the one that the broker would read
        file: Option<PathBuf>,
    },
    /// Print the value that a key would have, from files and the environment
    Get {
        /// The key, as in rabbitmq.conf
        key: String,
    },
}

/// An AMQP 0-9-1 message broker
#[derive(Debug, Parser)]
#[command(name = "leveret", version, args_conflicts_with_subcommands = true)]
struct CommandLine<C: Subcommand> {
    #[command(subcommand)]
    command: Option<C>,
    #[command(flatten)]
    serve: ServeOptions,
}

/// The broker's options alone, for the name `rabbitmq-server`.
#[derive(Debug, Parser)]
#[command(name = "rabbitmq-server", version)]
struct ServerCommandLine {
    #[command(flatten)]
    serve: ServeOptions,
}

/// Reads the command line, program name first. `C` is [`Command`], or a set of
/// commands that includes it.
///
/// # Errors
/// It makes no sense, or asks for help or the version; `clap::Error::exit`
/// prints it and ends the process.
pub fn parse<C: Subcommand + From<Command>>(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<C, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let name = arguments.first().and_then(|program| Path::new(program).file_name());
    if name.is_some_and(|name| name == "rabbitmq-server") {
        let matches = ServerCommandLine::command().try_get_matches_from(arguments)?;
        return ServerCommandLine::from_arg_matches(&matches)
            .map(|line| Command::Server(line.serve).into());
    }
    let program = name.and_then(OsStr::to_str).filter(|name| Tool::named(name).is_some());
    if let Some(program) = program.map(str::to_owned) {
        let arguments = arguments.into_iter().skip(1).collect();
        return Ok(Command::Ctl { program: Some(program), arguments }.into());
    }
    if name.is_some_and(|name| name == "rabbitmqadmin") {
        let arguments = arguments.into_iter().skip(1).collect();
        return Ok(Command::Admin(CtlWords { arguments }).into());
    }
    let line = CommandLine::<C>::try_parse_from(arguments)?;
    Ok(line.command.unwrap_or_else(|| Command::Server(line.serve).into()))
}

/// Prints a mistake, or the help that was asked for. The exit code: that of `check` has a meaning.
#[must_use]
pub fn mistaken(mistake: &clap::Error, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    // Whoever reads it may have gone.
    let _ = mistake.print();
    let is_check = arguments.into_iter().nth(1).is_some_and(|word| word == "check");
    match u8::try_from(mistake.exit_code()) {
        Ok(0) => 0,
        _ if is_check => check::UNKNOWN,
        Ok(code) => code,
        Err(_) => 2,
    }
}

fn algorithm(name: &str) -> Result<HashingAlgorithm, &'static str> {
    HashingAlgorithm::from_name(name).ok_or("expected sha256, sha512, md5 or argon2id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, i32> {
        parse(line.split(' ').map(OsString::from)).map_err(|error| error.exit_code())
    }

    fn on_port(port: u16) -> Result<Command, i32> {
        Ok(Command::Server(ServeOptions { port: Some(port), ..ServeOptions::default() }))
    }

    #[test]
    fn the_definitions_are_consistent() {
        CommandLine::<Command>::command().debug_assert();
        ServerCommandLine::command().debug_assert();
    }

    #[test]
    fn the_broker_is_asked_for_in_many_ways() {
        assert_eq!(parsed("leveret"), Ok(Command::Server(ServeOptions::default())));
        for line in [
            "leveret --port 1",
            "leveret server --port 1",
            "leveret rabbitmq-server --port 1",
            "rabbitmq-server --port 1",
            "/usr/local/bin/rabbitmq-server --port=1",
        ] {
            assert_eq!(parsed(line), on_port(1), "{line}");
        }
        let all = "leveret --config /c --data-dir /d --port 2 --log-level debug";
        let options = ServeOptions {
            config: Some("/c".into()),
            data_dir: Some("/d".into()),
            port: Some(2),
            log_level: Some("debug".to_owned()),
        };
        assert_eq!(parsed(all), Ok(Command::Server(options)));
    }

    #[test]
    fn other_commands_have_their_own_arguments() {
        assert_eq!(parsed("leveret healthcheck"), Ok(Command::Healthcheck { port: None }));
        let port = Some(7);
        assert_eq!(parsed("leveret healthcheck --port 7"), Ok(Command::Healthcheck { port }));
        let password = Some("secret".to_owned());
        let hashed =
            |algorithm| Ok(Command::HashPassword { password: password.clone(), algorithm });
        assert_eq!(parsed("leveret hash-password secret"), hashed(HashingAlgorithm::Sha256));
        let slow = "leveret hash-password --algorithm argon2id secret";
        assert_eq!(parsed(slow), hashed(HashingAlgorithm::Argon2id));
        assert_eq!(parsed("leveret hash-password --algorithm rot13 secret"), Err(2));
        let check = |file| Command::Config { command: ConfigCommand::Check { file } };
        assert_eq!(parsed("leveret config check"), Ok(check(None)));
        assert_eq!(parsed("leveret config check /c"), Ok(check(Some("/c".into()))));
        let get = Command::Config { command: ConfigCommand::Get { key: "data_dir".to_owned() } };
        assert_eq!(parsed("leveret config get data_dir"), Ok(get));
        let directory = PathBuf::from("/d");
        let verify = Command::Verify { directory: directory.clone(), salvage: false };
        assert_eq!(parsed("leveret verify /d"), Ok(verify));
        let salvage = Command::Verify { directory: directory.clone(), salvage: true };
        assert_eq!(parsed("leveret verify --salvage /d"), Ok(salvage));
        let restore = Command::Restore { file: "/f".into(), directory };
        assert_eq!(parsed("leveret restore /f /d"), Ok(restore));
        let from = "leveret migrate --from http://h:15672 --vhost a --vhost b --dry-run";
        assert!(matches!(parsed(from), Ok(Command::Migrate(_))));
        assert_eq!(parsed("leveret migrate"), Err(2));
        let backup = parsed("leveret backup --url http://h /f").unwrap();
        let words = ["backup", "--url", "http://h", "/f"].map(OsString::from).to_vec();
        assert_eq!(backup.for_ctl(), Some((None, words)));
    }

    #[test]
    fn the_names_of_rabbitmqs_programs_stand_for_their_commands() {
        let ctl = |program: Option<&str>, arguments: &[&str]| {
            let arguments = arguments.iter().map(OsString::from).collect();
            Ok(Command::Ctl { program: program.map(str::to_owned), arguments })
        };
        assert_eq!(parsed("leveret ctl -p / list_queues"), ctl(None, &["-p", "/", "list_queues"]));
        assert_eq!(parsed("leveret ctl ping --help"), ctl(None, &["ping", "--help"]));
        for program in ["rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-plugins"] {
            let line = format!("/usr/bin/{program} -q ping");
            assert_eq!(parsed(&line), ctl(Some(program), &["-q", "ping"]), "{program}");
        }
    }

    #[test]
    fn some_commands_of_ctl_have_a_name_of_their_own() {
        for (line, expected) in [
            ("leveret explain -p v queue q", vec!["explain", "-p", "v", "queue", "q"]),
            ("leveret route x a.b --header a=b", vec!["route", "x", "a.b", "--header", "a=b"]),
            ("leveret peek q --help", vec!["peek", "q", "--help"]),
            ("leveret redrive q --dry-run", vec!["redrive", "q", "--dry-run"]),
            ("leveret apply -f x", vec!["apply", "-f", "x"]),
        ] {
            let command = parsed(line).unwrap();
            let (program, words) = command.for_ctl().unwrap();
            assert_eq!((program, words), (None, expected.iter().map(OsString::from).collect()));
        }
    }

    #[test]
    fn checks_have_levels_and_their_mistakes_are_unknown() {
        let line = "leveret check queues --queue q --messages-warning 5 --disk-critical 2GB";
        assert!(matches!(parsed(line), Ok(Command::Check(_))));
        for mistake in
            ["check nothing", "check disk --disk-critical x", "check queues --age-warning 5"]
        {
            let words = || format!("leveret {mistake}");
            let words = words().split(' ').map(OsString::from).collect::<Vec<_>>();
            let error = parse::<Command>(words.clone()).unwrap_err();
            assert_eq!(mistaken(&error, words), check::UNKNOWN, "{mistake}");
        }
    }

    #[test]
    fn users_and_tokens_are_explained() {
        let line =
            "leveret auth explain --token t --exchange x --routing-key a.b --permission read";
        let Ok(Command::Auth { command: AuthCommand::Explain(asked) }) = parsed(line) else {
            panic!("{:?}", parsed(line));
        };
        assert_eq!((asked.token.as_deref(), asked.vhost.as_str()), (Some("t"), "/"));
        assert_eq!((asked.exchange.as_deref(), asked.permission.as_str()), (Some("x"), "read"));
        for mistake in [
            "leveret auth explain",
            "leveret auth explain --user u --queue q --exchange x",
            "leveret auth explain --user u --routing-key a",
            "leveret auth explain --user u --permission all",
        ] {
            assert_eq!(parsed(mistake), Err(2), "{mistake}");
        }
    }

    #[test]
    fn mistakes_exit_with_2_and_help_with_0() {
        for line in [
            "leveret --prot 1",
            "leveret sing",
            "leveret verify",
            "leveret config",
            "leveret --port x",
            "leveret healthcheck x",
        ] {
            assert_eq!(parsed(line), Err(2), "{line}");
        }
        assert_eq!(parsed("leveret --help"), Err(0));
        assert_eq!(parsed("leveret --version"), Err(0));
    }
}
