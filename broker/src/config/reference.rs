//! The text of `config/leveret.conf` and of the documentation's page of keys, made of the table of keys.

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

const PAGE_HEAD: &str = "\
# Every key

Made of the table of keys in [broker/src/config/keys.rs](../../broker/src/config/keys.rs), like
[config/leveret.conf](../../config/leveret.conf). What stands in angle brackets is a name or a number
of your choice. [Configuration](configuration.md) says where settings come from.
";

/// The documentation's page of keys: every key, its type, its default and its meaning, under the first
/// part of its name.
#[must_use]
pub fn reference_page() -> String {
    let mut page = PAGE_HEAD.to_owned();
    let mut written = Vec::new();
    for row in TABLE {
        let part = part_of(row);
        if written.contains(&part) {
            continue;
        }
        written.push(part);
        page.push_str(&format!(
            "\n## {part}\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
        ));
        for row in TABLE.iter().filter(|row| part_of(row) == part) {
            page.push_str(&line_of_page(row));
        }
    }
    page
}

/// Keys without a dot stand together.
fn part_of(row: &Row) -> &'static str {
    row.name.split_once('.').map_or("Single keys", |(part, _)| part)
}

fn line_of_page(row: &Row) -> String {
    let default = match row.preset {
        Preset::Default(value) => format!("`{value}`"),
        Preset::Example(value) => format!("none; such as `{value}`"),
    };
    let cells = [format!("`{}`", row.name), row.kind.to_owned(), default, escaped(&row.meaning())];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// What would be taken for a tag of HTML is code.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::syntax;

    /// Run with LEVERET_BLESS=1 to write the file anew after changing the table.
    #[test]
    fn the_committed_files_are_the_table() {
        for (name, text) in [
            ("../config/leveret.conf", reference_file()),
            ("../docs/src/configuration-keys.md", reference_page()),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            if std::env::var_os("LEVERET_BLESS").is_some() {
                fs::write(&path, &text).unwrap();
            }
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == text, "{name}: run the test with LEVERET_BLESS=1");
        }
    }

    #[test]
    fn every_key_is_on_the_page_once() {
        let page = reference_page();
        for row in TABLE {
            let beginning = format!("| `{}` |", row.name);
            assert_eq!(page.matches(&beginning).count(), 1, "{}", row.name);
        }
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
