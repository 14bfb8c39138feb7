//! `rabbitmq-env.conf`: variables in a file, where they need no `RABBITMQ_` in front.
//!
//! `Config::load` reads it before anything else. RabbitMQ has a shell carry the file out; here lines
//! `NAME=value` are read, with quotes and `export`, and nothing is carried out. Stays true: the
//! environment goes before the file. See <https://www.rabbitmq.com/docs/configure#environment-env-file-unix>.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::error::{ConfigError, Origin};
use super::options::ServeOptions;
use super::sources::main_file;
use super::variables::Environment;

/// Variables by their names.
pub(super) type Variables = BTreeMap<String, String>;

/// The variables of the file that `RABBITMQ_CONF_ENV_FILE` names, which then has to be there, or of
/// `rabbitmq-env.conf` beside the main file.
pub(super) fn read(
    options: &ServeOptions,
    environment: Environment<'_>,
) -> Result<Variables, ConfigError> {
    let named = environment("RABBITMQ_CONF_ENV_FILE").filter(|path| !path.is_empty());
    let path = match &named {
        Some(path) => path.into(),
        None => main_file(options, environment).with_file_name("rabbitmq-env.conf"),
    };
    match fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            Ok(Variables::new())
        }
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

fn parse(path: &Path, text: &str) -> Result<Variables, ConfigError> {
    let mut variables = Variables::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assignment = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let found = assignment.split_once('=').filter(|(name, _)| is_name(name));
        let found = found.and_then(|(name, value)| Some((name, unquoted(value)?)));
        let Some((name, value)) = found else {
            let origin = Origin::File { path: path.to_owned(), line: index + 1 };
            let detail = "expected NAME=value; a shell's commands are not carried out".to_owned();
            return Err(ConfigError::Syntax { origin, detail });
        };
        let prefix = if name.starts_with("RABBITMQ_") || name.starts_with("LEVERET_") {
            ""
        } else {
            "RABBITMQ_"
        };
        variables.insert(format!("{prefix}{name}"), value);
    }
    Ok(variables)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A value as a shell would take it; nothing if that takes a shell.
fn unquoted(value: &str) -> Option<String> {
    let quoted = |quote: char| {
        let inside = value.strip_prefix(quote)?.split_once(quote);
        inside.filter(|(_, rest)| rest.is_empty() || rest.trim_start().starts_with('#'))
    };
    let needs_shell = |text: &str| text.contains(['$', '`']);
    if value.starts_with('\'') {
        return quoted('\'').map(|(inside, _)| inside.to_owned());
    }
    if value.starts_with('"') {
        return quoted('"').map(|(inside, _)| inside.to_owned()).filter(|it| !needs_shell(it));
    }
    let plain = value.split(" #").next().unwrap_or_default().trim_end();
    let is_plain = !needs_shell(plain) && !plain.contains([' ', ';', '&', '|', '(', '"', '\'']);
    is_plain.then(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_variables() {
        let text = "# a comment\n\nNODE_PORT=5673\nexport RABBITMQ_LOGS=-  # where\nCONFIG_FILE='/a b'\n\
                    NODENAME=\"rabbit@x\"\nEMPTY=\nLEVERET_HEARTBEAT=5\n";
        let pairs = [
            ("LEVERET_HEARTBEAT", "5"),
            ("RABBITMQ_CONFIG_FILE", "/a b"),
            ("RABBITMQ_EMPTY", ""),
            ("RABBITMQ_LOGS", "-"),
            ("RABBITMQ_NODENAME", "rabbit@x"),
            ("RABBITMQ_NODE_PORT", "5673"),
        ];
        let expected = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(Path::new("/e"), text).unwrap(), Variables::from(expected));
    }

    #[test]
    fn what_takes_a_shell_is_refused() {
        for line in ["ulimit -n 5", "A=$(hostname)", "A=\"$B\"", "A=1; B=2", "A='x", "A=\"x\" y"] {
            let error = parse(Path::new("/e"), &format!("\n{line}\n")).unwrap_err().to_string();
            assert!(error.starts_with("/e:2: expected NAME=value"), "{line}: {error}");
        }
    }
}
