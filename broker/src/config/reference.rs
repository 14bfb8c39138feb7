//! The text of `config/leveret.conf`, made of the table of keys.

use super::keys::{Preset, Row, TABLE};

const HEAD: &str = "\
# Leveret's configuration: every key, with its default. Nothing here is set; to
# set a key, remove the '#' in front of it.
#
# The syntax is rabbitmq.conf's: 'key = value', '#' starts a comment, single
# quotes keep a value as it is, $(NAME) stands for an environment variable. Files
# in conf.d beside this file are read after it, in the order of their names.
# LEVERET_<KEY>, in capitals with '_' for '.', in the environment goes before
# files (LEVERET_LISTENERS_TCP_DEFAULT); options of the command line go before
# everything. A size is a number of bytes or has a unit: KB MB GB TB, KiB MiB GiB
# TiB. Keys that only RabbitMQ has are accepted with a warning.
";

/// The text of `config/leveret.conf`: every key, its meaning and its default.
#[must_use]
pub fn reference_file() -> String {
    let mut text = HEAD.to_owned();
    for row in TABLE {
        text.push('\n');
        text.push_str(&entry(row));
    }
    text
}

fn entry(row: &Row) -> String {
    let mut text = String::new();
    for line in row.doc {
        text.push_str("##");
        text.push_str(line);
        text.push('\n');
    }
    let (note, value) = match row.preset {
        Preset::Default(value) => ("", value),
        Preset::Example(value) => (" Not set by default; an example:", value),
    };
    text.push_str(&format!("## Value: {}.{note}\n# {} = {value}\n", row.kind, row.name));
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::syntax;

    /// Run with LEVERET_BLESS=1 to write the file anew after changing the table.
    #[test]
    fn the_committed_file_is_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/leveret.conf");
        if std::env::var_os("LEVERET_BLESS").is_some() {
            fs::write(&path, reference_file()).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert_eq!(committed, reference_file(), "run the test with LEVERET_BLESS=1");
    }

    #[test]
    fn its_settings_can_be_uncommented() {
        for line in reference_file().lines() {
            let Some(setting) = line.strip_prefix("# ") else { continue };
            if setting.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) {
                assert_eq!(syntax::parse(setting, &|_| None).unwrap().len(), 1, "{setting}");
            }
        }
    }
}
