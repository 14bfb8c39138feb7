//! The `leveret` binary: picks the subcommand, and turns its outcome into an exit code.
//!
//! 0 is success, 1 a failure that one line on standard error explains, 2 a mistake in the command
//! line; the commands of `ctl` have RabbitMQ's codes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use leveret::backup;
use leveret::cli::{self, AuthCommand, ConfigCommand};
use leveret::config::{self, Config, ServeOptions};
use leveret::ctl::progress::{self, Progress};
use leveret::explain::{self, Explained};
use leveret::password::{self, HashingAlgorithm};
use leveret::upgrade::{self, UpgradeCommand};
use leveret::{admin, check, ctl, dev, doctor, healthcheck, logging, migrate, server, tap, top};
use leveret_bench::BenchArguments;
use leveret_storage::messages;
use tracing::warn;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the binary does: all that is asked of the broker, and the load generator beside it.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Broker(cli::Command),
    /// Load an AMQP broker and measure what it costs
    Bench(Box<BenchArguments>),
}

impl From<cli::Command> for Command {
    fn from(command: cli::Command) -> Self {
        Self::Broker(command)
    }
}

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(Command::Broker(command)) => of_broker(command),
        Ok(Command::Bench(arguments)) => leveret_bench::run_command(&arguments),
        Err(mistake) => ExitCode::from(cli::mistaken(&mistake, std::env::args_os())),
    }
}

/// Commands with exit codes of their own, and all others.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else there is has those of all")]
fn of_broker(command: cli::Command) -> ExitCode {
    if let Some((program, words)) = command.for_ctl() {
        return ExitCode::from(ctl::run(program, words, environment));
    }
    match &command {
        cli::Command::Check(asked) => ExitCode::from(check::run(asked, environment)),
        cli::Command::Doctor(asked) => ExitCode::from(doctor::run(asked, environment)),
        cli::Command::Admin(words) => {
            ExitCode::from(admin::run(words.arguments.clone(), environment))
        }
        cli::Command::Migrate(asked) => ExitCode::from(migrate::run(asked, environment)),
        _ => exit_code(act(command)),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "those with codes of their own are done")]
fn act(command: cli::Command) -> Outcome {
    match command {
        cli::Command::Server(options) => serve(&options),
        cli::Command::Dev(asked) => dev::run(&asked, environment),
        cli::Command::Healthcheck { port } => check_health(port),
        cli::Command::Config { command: ConfigCommand::Check { file } } => check_config(file),
        cli::Command::Config { command: ConfigCommand::Get { key } } => print_value(&key),
        cli::Command::HashPassword { password, algorithm } => hash_password(algorithm, password),
        cli::Command::Auth { command: AuthCommand::Explain(asked) } => explain(&asked),
        cli::Command::Top(asked) => top::run(&asked, environment).map_err(Into::into),
        cli::Command::Tap(asked) => tap::tap(&asked, environment).map_err(Into::into),
        cli::Command::Trace(asked) => tap::trace(&asked, environment).map_err(Into::into),
        cli::Command::Upgrade { command: UpgradeCommand::Check { directory } } => {
            check_upgrade(&directory)
        }
        cli::Command::Verify { directory, salvage } => verify(&directory, salvage),
        cli::Command::Restore { file, directory } => restore(&file, &directory),
        _ => Ok(()),
    }
}

fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the log may not work yet")]
fn report(error: &dyn std::error::Error) {
    eprintln!("leveret: {error}");
}

#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
fn verify(directory: &Path, salvage: bool) -> Outcome {
    let mut progress = Progress::new("verify");
    let told = &mut |done, all| progress.tell(done, Some(all), progress::bytes);
    let report = match salvage {
        true => messages::salvage(directory, told)?,
        false => messages::verify(directory, told)?,
    };
    drop(progress);
    println!("{report}");
    match report.is_sound() || salvage {
        true => Ok(()),
        false => Err("stored messages may be missing".into()),
    }
}

#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
fn restore(file: &Path, directory: &Path) -> Outcome {
    let all = std::fs::metadata(file).map(|metadata| metadata.len()).ok();
    let mut progress = Progress::new("restore");
    let told = &mut |done| progress.tell(done, all, progress::bytes);
    let restored = backup::restore::restore(file, directory, told)?;
    drop(progress);
    println!("{}\n{}", restored.about, restored.report);
    println!("start it with: leveret --data-dir {}", directory.display());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the verdict is what was asked for")]
fn check_upgrade(directory: &Path) -> Outcome {
    let verdict = upgrade::check(directory);
    verdict.lines.iter().for_each(|line| println!("{line}"));
    match verdict.is_read {
        true => Ok(()),
        false => Err("this version cannot start on it".into()),
    }
}

#[expect(clippy::print_stdout, reason = "the explanation is what was asked for")]
fn explain(asked: &Explained) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let explanation = runtime.block_on(explain::explain(asked, environment))?;
    explanation.lines.iter().for_each(|line| println!("{line}"));
    match explanation.granted {
        true => Ok(()),
        false => Err("it is refused".into()),
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn serve(options: &ServeOptions) -> Outcome {
    let config = Config::load(options, environment)?;
    let log = logging::init(&config.logging)?;
    for warning in &config.warnings {
        warn!(event = "config.ignored", "{warning}");
    }
    let again = options.clone();
    run(server::run(config, log, move || Config::load(&again, environment)))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
fn check_config(file: Option<PathBuf>) -> Outcome {
    let options = ServeOptions { config: file, ..ServeOptions::default() };
    let report = config::Report::of(&config::main_file(&options, environment), environment);
    for line in report.errors.iter().chain(&report.ignored) {
        println!("{line}");
    }
    let (errors, ignored) = (report.errors.len(), report.ignored.len());
    if report.is_sound() {
        println!("the configuration can be used; settings without effect: {ignored}");
        return Ok(());
    }
    Err(format!("the configuration cannot be used; mistakes: {errors}").into())
}

#[expect(clippy::print_stdout, reason = "the value is what was asked for")]
fn print_value(key: &str) -> Outcome {
    let config = Config::load(&ServeOptions::default(), environment)?;
    println!("{}", config.value(key).ok_or_else(|| format!("'{key}' is not set"))?);
    Ok(())
}

fn check_health(port: Option<u16>) -> Outcome {
    match port {
        Some(port) => run(healthcheck::check_port(port)),
        None => run(healthcheck::check(&Config::load(&ServeOptions::default(), environment)?)),
    }
}

fn run<E: std::error::Error + 'static>(task: impl Future<Output = Result<(), E>>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(task).map_err(Into::into)
}

#[expect(clippy::print_stdout, reason = "the hash is what was asked for")]
fn hash_password(algorithm: HashingAlgorithm, password: Option<String>) -> Outcome {
    let password = match password {
        Some(password) => password,
        None => std::io::stdin().lines().next().transpose()?.unwrap_or_default(),
    };
    println!("{}", password::hash(algorithm, password.as_bytes()));
    Ok(())
}
