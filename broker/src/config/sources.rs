//! Where settings come from, in rising precedence: the configuration file, the
//! files in `conf.d` beside it, the environment, the command line.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::keys::{
    DATA_DIR, DEFAULT_ADMINISTRATOR, DEFAULT_PASS, DEFAULT_USER, DEFAULT_VHOST,
    LOG_CONSOLE_FORMATTER, LOG_CONSOLE_LEVEL, LOG_CONSOLE_STDIO, LOG_DEFAULT_LEVEL, LOG_FILE, Row,
    SSL_DEFAULT, TABLE, TCP_DEFAULT, TLS_CACERTFILE, TLS_CERTFILE, TLS_DEPTH,
    TLS_FAIL_IF_NO_PEER_CERT, TLS_KEYFILE, TLS_VERIFY,
};
use super::options::ServeOptions;
use super::settings::Settings;
use super::syntax;

/// Read if nothing else is named.
const DEFAULT_FILE: &str = "/etc/leveret/leveret.conf";

/// RabbitMQ's own variables for keys of the table.
const RABBITMQ_VARIABLES: &[(&str, &str)] = &[
    ("RABBITMQ_DEFAULT_USER", DEFAULT_USER.name),
    ("RABBITMQ_DEFAULT_PASS", DEFAULT_PASS.name),
    ("RABBITMQ_DEFAULT_VHOST", DEFAULT_VHOST.name),
    ("RABBITMQ_SSL_CACERTFILE", TLS_CACERTFILE.name),
    ("RABBITMQ_SSL_CERTFILE", TLS_CERTFILE.name),
    ("RABBITMQ_SSL_KEYFILE", TLS_KEYFILE.name),
    ("RABBITMQ_SSL_VERIFY", TLS_VERIFY.name),
    ("RABBITMQ_SSL_FAIL_IF_NO_PEER_CERT", TLS_FAIL_IF_NO_PEER_CERT.name),
    ("RABBITMQ_SSL_DEPTH", TLS_DEPTH.name),
];

/// How a variable is looked up; tests give their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Applies the configuration files and says which there were, in order.
pub(super) fn files(
    settings: &mut Settings,
    options: &ServeOptions,
    environment: Environment<'_>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let main = main_file(options, environment);
    let mut candidates = vec![main.clone()];
    candidates.extend(drop_ins(&main)?);
    let mut used = Vec::new();
    for path in candidates {
        match fs::read_to_string(&path) {
            Ok(text) => apply_file(settings, &path, &text, environment)?,
            // Images name the main file even if there are drop-ins only.
            Err(error) if error.kind() == io::ErrorKind::NotFound && options.config.is_none() => {
                continue;
            }
            Err(source) => return Err(ConfigError::Read { path, source }),
        }
        used.push(path);
    }
    Ok(used)
}

/// The file that is read first, and beside which `conf.d` is looked for.
pub(super) fn main_file(options: &ServeOptions, environment: Environment<'_>) -> PathBuf {
    let named = variable(environment, "LEVERET_CONFIG_FILE")
        .or_else(|| variable(environment, "RABBITMQ_CONFIG_FILE"));
    match (&options.config, named) {
        (Some(path), _) => path.clone(),
        (None, Some(path)) => path.into(),
        (None, None) => DEFAULT_FILE.into(),
    }
}

/// Applies the environment: RabbitMQ's names first, ours win.
pub(super) fn environment(
    settings: &mut Settings,
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    for (name, key) in RABBITMQ_VARIABLES {
        apply_variable(settings, environment, name, key)?;
    }
    for name in ["RABBITMQ_DEFAULT_USER_TAGS", "LEVERET_DEFAULT_USER_TAGS"] {
        user_tags(settings, environment, name)?;
    }
    node_address(settings, environment)?;
    log_levels(settings, environment)?;
    log_places(settings, environment)?;
    // The old images of RabbitMQ listened with TLS as soon as they had a certificate.
    if variable(environment, "RABBITMQ_SSL_CERTFILE").is_some()
        && settings.find(&SSL_DEFAULT)?.is_none()
    {
        let origin = Origin::Environment("RABBITMQ_SSL_CERTFILE".to_owned());
        settings.set_key(SSL_DEFAULT.name, "5671".to_owned(), origin)?;
    }
    for row in TABLE.iter().filter(|row| row.is_literal()) {
        apply_variable(settings, environment, &variable_name(row), row.name)?;
    }
    for n in 1..=9 {
        let (name, key) = (format!("LEVERET_AUTH_MECHANISMS_{n}"), format!("auth_mechanisms.{n}"));
        apply_variable(settings, environment, &name, &key)?;
    }
    Ok(())
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

/// The environment variable of a key: `LEVERET_LISTENERS_TCP_DEFAULT`.
fn variable_name(row: &Row) -> String {
    format!("LEVERET_{}", row.name.replace('.', "_").to_ascii_uppercase())
}

/// The value of a variable. An empty one counts as not set: that is what compose
/// files make of a variable that is missing outside.
fn variable(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// The files of `conf.d` beside it, in their order.
pub(super) fn drop_ins(main: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let directory = main.parent().unwrap_or_else(|| Path::new("")).join("conf.d");
    let failed = |source| ConfigError::Read { path: directory.clone(), source };
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
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

/// Applies a variable, or the file that `<name>_FILE` names: that is how secrets
/// are given to containers.
fn apply_variable(
    settings: &mut Settings,
    environment: Environment<'_>,
    name: &str,
    key: &str,
) -> Result<(), ConfigError> {
    match value_or_file(environment, name)? {
        Some((value, origin)) => settings.set_key(key, value, origin),
        None => Ok(()),
    }
}

fn value_or_file(
    environment: Environment<'_>,
    name: &str,
) -> Result<Option<(String, Origin)>, ConfigError> {
    if let Some(value) = variable(environment, name) {
        return Ok(Some((value, Origin::Environment(name.to_owned()))));
    }
    let name = format!("{name}_FILE");
    let Some(path) = variable(environment, &name).map(PathBuf::from) else { return Ok(None) };
    let text = fs::read_to_string(&path)
        .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
    let value = text.trim_end_matches(['\r', '\n']).to_owned();
    Ok(Some((value, Origin::Environment(name))))
}

/// All tags of the default user in one variable, separated by commas; what is not among them, it has
/// not.
fn user_tags(
    settings: &mut Settings,
    environment: Environment<'_>,
    name: &str,
) -> Result<(), ConfigError> {
    let Some((tags, origin)) = value_or_file(environment, name)? else { return Ok(()) };
    settings.forget(&["default_user_tags"]);
    settings.set_key(DEFAULT_ADMINISTRATOR.name, "false".to_owned(), origin.clone())?;
    for tag in tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        let path = vec!["default_user_tags".to_owned(), tag.to_owned()];
        settings.set(path, "true".to_owned(), origin.clone())?;
    }
    Ok(())
}

/// RabbitMQ: RABBITMQ_LOG has levels, `debug` or `connection=debug`, and `+json`, between commas.
fn log_levels(settings: &mut Settings, environment: Environment<'_>) -> Result<(), ConfigError> {
    let name = "RABBITMQ_LOG";
    let said = variable(environment, name).unwrap_or_default();
    for word in said.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (key, value) = match word.split_once('=') {
            Some((category, level)) => (format!("log.{category}.level"), level),
            None if word == "+json" => (LOG_CONSOLE_FORMATTER.name.to_owned(), "json"),
            // Colours and the like.
            None if word.starts_with(['+', '-']) => continue,
            None => (LOG_DEFAULT_LEVEL.name.to_owned(), word),
        };
        settings.set_key(&key, value.to_owned(), Origin::Environment(name.to_owned()))?;
    }
    Ok(())
}

/// RabbitMQ: RABBITMQ_LOGS is a file, or `-` for standard output, `-stderr` for standard error.
fn log_places(settings: &mut Settings, environment: Environment<'_>) -> Result<(), ConfigError> {
    let name = "RABBITMQ_LOGS";
    let Some(place) = variable(environment, name) else { return Ok(()) };
    let (key, value) = match place.as_str() {
        "-" => (LOG_CONSOLE_STDIO.name, "stdout".to_owned()),
        "-stderr" => (LOG_CONSOLE_STDIO.name, "stderr".to_owned()),
        _ => (LOG_FILE.name, place),
    };
    settings.set_key(key, value, Origin::Environment(name.to_owned()))
}

/// RabbitMQ: RABBITMQ_NODE_IP_ADDRESS and RABBITMQ_NODE_PORT name the one listener.
fn node_address(settings: &mut Settings, environment: Environment<'_>) -> Result<(), ConfigError> {
    let (ip_name, port_name) = ("RABBITMQ_NODE_IP_ADDRESS", "RABBITMQ_NODE_PORT");
    let invalid = |name: &str, detail: &str| ConfigError::Value {
        origin: Origin::Environment(name.to_owned()),
        key: TCP_DEFAULT.name.to_owned(),
        detail: detail.to_owned(),
    };
    let address: Option<IpAddr> = variable(environment, ip_name)
        .map(|text| text.parse().map_err(|_| invalid(ip_name, "expected an address")))
        .transpose()?;
    let port: Option<u16> = variable(environment, port_name)
        .map(|text| text.parse().map_err(|_| invalid(port_name, "expected a port")))
        .transpose()?;
    let name = if port.is_some() { port_name } else { ip_name };
    if address.is_none() && port.is_none() {
        return Ok(());
    }
    replace_listeners(settings, address, port, Origin::Environment(name.to_owned()))
}

/// Makes the default listener the only one, keeping what is not given.
fn replace_listeners(
    settings: &mut Settings,
    address: Option<IpAddr>,
    port: Option<u16>,
    origin: Origin,
) -> Result<(), ConfigError> {
    let before = settings.get(&TCP_DEFAULT)?;
    let before = before.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 5672).into());
    let listener = SocketAddr::new(
        address.unwrap_or_else(|| before.ip()),
        port.unwrap_or_else(|| before.port()),
    );
    settings.forget(&["listeners", "tcp"]);
    settings.set_key(TCP_DEFAULT.name, listener.to_string(), origin)
}
