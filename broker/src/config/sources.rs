//! Where settings come from, in rising precedence: the configuration file, the
//! files in `conf.d` beside it, `advanced.config`, the environment (`variables`),
//! the command line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::advanced;
use super::error::{ConfigError, Origin};
use super::keys::{DATA_DIR, LOG_CONSOLE_LEVEL};
use super::options::ServeOptions;
use super::plugins;
use super::settings::Settings;
use super::syntax;
use super::variables::{Environment, replace_listeners, variable};

/// Read if nothing else is named.
const DEFAULT_FILE: &str = "/etc/leveret/leveret.conf";

/// Applies the configuration files and says which there were, in order.
pub(super) fn files(
    settings: &mut Settings,
    options: &ServeOptions,
    environment: Environment<'_>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let main = main_file(options, environment);
    let elsewhere: Environment<'_> = match options.config {
        Some(_) => &|_| None,
        None => environment,
    };
    let mut candidates = vec![main.clone()];
    candidates.extend(drop_ins(&main, elsewhere)?);
    candidates.push(beside(&main, "advanced.config", "RABBITMQ_ADVANCED_CONFIG_FILE", elsewhere));
    let mut used = Vec::new();
    for path in candidates {
        match fs::read_to_string(&path) {
            Ok(text) => apply_file(settings, &path, &text, environment)?,
            // Images name the main file even if there are drop-ins only.
            Err(error) if is_nothing(&error) && (options.config.is_none() || path != main) => {
                continue;
            }
            Err(source) => return Err(ConfigError::Read { path, source }),
        }
        used.push(path);
    }
    wanted_plugins(settings, &main, elsewhere)?;
    Ok(used)
}

/// A file that `variable` names, or that stands beside the main one.
fn beside(main: &Path, name: &str, named: &str, environment: Environment<'_>) -> PathBuf {
    variable(environment, named).map_or_else(|| main.with_file_name(name), PathBuf::from)
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What the file `enabled_plugins` asks for, if there is one.
fn wanted_plugins(
    settings: &mut Settings,
    main: &Path,
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    let path = beside(main, "enabled_plugins", "RABBITMQ_ENABLED_PLUGINS_FILE", environment);
    match fs::read_to_string(&path) {
        Ok(text) => plugins::check_file(settings, &path, &text),
        Err(error) if is_nothing(&error) => Ok(()),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

/// The file that is read first, and beside which the others are looked for. RabbitMQ: the variable may
/// leave its ending out, which is `.conf` or, of Erlang terms, `.config`.
pub(super) fn main_file(options: &ServeOptions, environment: Environment<'_>) -> PathBuf {
    let named = variable(environment, "LEVERET_CONFIG_FILE")
        .or_else(|| variable(environment, "RABBITMQ_CONFIG_FILE"));
    match (&options.config, named) {
        (Some(path), _) => path.clone(),
        (None, Some(path)) => with_ending(path),
        (None, None) => DEFAULT_FILE.into(),
    }
}

fn with_ending(path: String) -> PathBuf {
    let endings = [".conf", ".config"].map(|ending| PathBuf::from(format!("{path}{ending}")));
    let path = PathBuf::from(path);
    match path.is_file() {
        true => path,
        false => endings.into_iter().find(|path| path.is_file()).unwrap_or(path),
    }
}

/// Applies the command line.
pub(super) fn command_line(
    settings: &mut Settings,
    options: &ServeOptions,
) -> Result<(), ConfigError> {
    if let Some(path) = &options.data_dir {
        let value = path.to_string_lossy().into_owned();
        settings.set_key(DATA_DIR.name, value, Origin::CommandLine("--data-dir"))?;
    }
    if let Some(level) = &options.log_level {
        let origin = Origin::CommandLine("--log-level");
        settings.set_key(LOG_CONSOLE_LEVEL.name, level.clone(), origin)?;
    }
    if options.port.is_some() {
        replace_listeners(settings, None, options.port, Origin::CommandLine("--port"))?;
    }
    Ok(())
}

/// The files of `conf.d` beside the main one, or of the directory that `RABBITMQ_CONFIG_FILES` names,
/// in their order.
pub(super) fn drop_ins(
    main: &Path,
    environment: Environment<'_>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let directory = match variable(environment, "RABBITMQ_CONFIG_FILES") {
        Some(named) => PathBuf::from(named.trim_end_matches("*.conf")),
        None => main.parent().unwrap_or_else(|| Path::new("")).join("conf.d"),
    };
    let failed = |source| ConfigError::Read { path: directory.clone(), source };
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if is_nothing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn apply_file(
    settings: &mut Settings,
    path: &Path,
    text: &str,
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    if path.extension().is_some_and(|ending| ending == "config") {
        return advanced::apply_file(settings, path, text);
    }
    let origin = |line| Origin::File { path: path.to_owned(), line };
    let lines = syntax::parse(text, environment).map_err(|error| ConfigError::Syntax {
        origin: origin(error.number),
        detail: error.detail,
    })?;
    for line in lines {
        settings.set(line.path, line.value, origin(line.number))?;
    }
    Ok(())
}
