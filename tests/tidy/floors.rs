//! The floors of the broker: ARCHITECTURE.md lists them from the highest to
//! the lowest between two marks, and an import leads to the same floor or
//! down, never up.
//!
//! A line of the list is a floor. In a table its paths stand in backticks;
//! in a code block they are words, behind the floor's name and a `:` if it has
//! one, and before a `#` if it says more. A path is a file or a folder of
//! `broker/src`, and `queue` stands for `queue.rs` and all of `queue/`. Where
//! one path lies in another, the longer one decides.

use crate::assert_none;
use crate::circles::circles;
use crate::imports::imports;
use crate::tree::{File, sources_of, text_files};

const BEGIN: &str = "<!-- floors:begin -->";
const END: &str = "<!-- floors:end -->";

/// The paths of each floor, the highest floor first.
fn floors(document: &str) -> Vec<Vec<String>> {
    let list = document.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let lines = list.map_or("", |(list, _)| list).lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("```"));
    lines.map(paths).filter(|paths| !paths.is_empty()).collect()
}

fn paths(line: &str) -> Vec<String> {
    let trimmed = |path: &str| path.trim_end_matches('/').to_owned();
    if line.trim_start().starts_with('|') {
        return line.split('`').skip(1).step_by(2).map(trimmed).collect();
    }
    let line = line.split('#').next().unwrap_or_default();
    let list = line.split_once(':').map_or(line, |(_, paths)| paths);
    list.split([' ', ',', '|']).filter(|word| !word.is_empty()).map(trimmed).collect()
}

/// Whether `path` of the list is `file` or holds it.
fn holds(path: &str, file: &str) -> bool {
    let rest = file.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

/// The floor of a file, counted from the highest: that of the longest path
/// which holds it.
fn floor_of(file: &str, floors: &[Vec<String>]) -> Option<usize> {
    let numbered = floors.iter().enumerate();
    let paths = numbered.flat_map(|(floor, paths)| paths.iter().map(move |path| (path, floor)));
    let holding = paths.filter(|(path, _)| holds(path, file));
    holding.max_by_key(|(path, _)| path.len()).map(|(_, floor)| floor)
}

/// Everything in which a crate departs from the list in `document`: files on
/// no floor, paths that are not there or stand twice, and imports that lead up.
pub(crate) fn faults(files: &[File], name: &str, document: &str) -> Vec<String> {
    let floors = floors(document);
    if floors.is_empty() {
        return vec![format!("there is no list of floors between {BEGIN} and {END}")];
    }
    let mut faults = list_faults(files, &floors);
    for import in imports(files, name) {
        let ends = (floor_of(&import.from, &floors), floor_of(&import.to, &floors));
        if let (Some(from), Some(to)) = ends
            && to < from
        {
            let (file, line, path) = (&import.from, import.line, &import.path);
            faults.push(format!("{file}:{line}: {path} leads up to {}", import.to));
        }
    }
    faults
}

fn list_faults(files: &[File], floors: &[Vec<String>]) -> Vec<String> {
    let mut faults = Vec::new();
    let paths: Vec<&String> = floors.iter().flatten().collect();
    for (at, path) in paths.iter().enumerate() {
        if !files.iter().any(|file| holds(path, &file.path)) {
            faults.push(format!("{path} is on a floor and not in the tree"));
        }
        if paths.iter().skip(at + 1).any(|other| other == path) {
            faults.push(format!("{path} is on a floor twice"));
        }
    }
    let homeless = files.iter().filter(|file| floor_of(&file.path, floors).is_none());
    faults.extend(homeless.map(|file| format!("{} is on no floor", file.path)));
    faults
}

fn architecture() -> String {
    let found = text_files().into_iter().find(|file| file.path == "ARCHITECTURE.md");
    found.expect("ARCHITECTURE.md is there").text
}

#[test]
fn the_broker_keeps_its_floors() {
    let files = sources_of("broker");
    let mut breaches = faults(&files, "leveret", &architecture());
    breaches.extend(circles(&files, "leveret"));
    assert_none(&breaches, "imports lead down the floors of ARCHITECTURE.md, and in no circle");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# Title\n<!-- floors:begin -->\n```text\n\
        top:    main.rs lib.rs\n\
        middle: queue, session/\n\
        error, keys    # no floor: the words behind are a remark\n\
        ```\n<!-- floors:end -->\n| `later` |\n";
    const TABLE: &str = "<!-- floors:begin -->\n| floor | stands on it |\n|---|---|\n\
        | top | `main.rs`, `lib.rs` |\n| middle | `queue`, `session/` |\n\
        | bottom | `error`, `keys` |\n<!-- floors:end -->";

    fn tree(changed: &[(&str, &str)]) -> Vec<File> {
        let mut files = vec![
            ("main.rs", "use ours::session::Session;"),
            ("lib.rs", "pub mod session; mod queue; mod error; mod keys;"),
            ("session/mod.rs", "use crate::queue::Queue; pub struct Session;"),
            ("queue/mod.rs", "mod state; use crate::keys::Key; pub struct Queue;"),
            ("queue/state.rs", "use super::Queue; use crate::error::Error;"),
            ("error.rs", "pub struct Error;"),
            ("keys.rs", "pub struct Key;"),
        ];
        for (path, text) in changed {
            files.retain(|(other, _)| other != path);
            files.push((path, text));
        }
        let file = |(path, text): (&str, &str)| File { path: path.into(), text: text.into() };
        files.into_iter().map(file).collect()
    }

    #[test]
    fn a_list_and_a_table_say_the_same() {
        let wanted = [vec!["main.rs", "lib.rs"], vec!["queue", "session"], vec!["error", "keys"]];
        assert_eq!(floors(LIST), wanted);
        assert_eq!(floors(TABLE), wanted);
    }

    #[test]
    fn a_tree_that_keeps_its_floors_has_no_faults() {
        assert_eq!(faults(&tree(&[]), "ours", LIST), Vec::<String>::new());
    }

    #[test]
    fn an_import_from_a_higher_floor_is_found() {
        let upward = tree(&[("error.rs", "pub struct Error;\nfn f(_: &crate::queue::Queue) {}")]);
        let found = faults(&upward, "ours", LIST);
        assert_eq!(found, ["error.rs:2: crate::queue::Queue leads up to queue/mod.rs"]);
    }

    #[test]
    fn the_tests_of_a_file_may_look_up() {
        let upward = tree(&[("error.rs", "#[cfg(test)] mod tests { use crate::queue::Queue; }")]);
        assert_eq!(faults(&upward, "ours", LIST), Vec::<String>::new());
    }

    #[test]
    fn a_file_on_no_floor_is_found() {
        let found = faults(&tree(&[("queues.rs", "")]), "ours", LIST);
        assert_eq!(found, ["queues.rs is on no floor"]);
    }

    #[test]
    fn a_path_that_is_not_there_or_stands_twice_is_found() {
        let list = LIST.replace("error, keys", "error, keys, gone, queue");
        let found = faults(&tree(&[]), "ours", &list);
        let wanted = ["queue is on a floor twice", "gone is on a floor and not in the tree"];
        assert!(wanted.iter().all(|it| found.iter().any(|fault| fault == it)), "{found:?}");
    }

    #[test]
    fn the_longer_path_decides() {
        let floors = floors("<!-- floors:begin -->\na\nb\na/low.rs\n<!-- floors:end -->");
        assert_eq!(floor_of("a/high.rs", &floors), Some(0));
        assert_eq!(floor_of("a/low.rs", &floors), Some(2));
        assert_eq!(floor_of("abc.rs", &floors), None);
    }

    #[test]
    fn a_document_without_a_list_is_a_fault() {
        assert_eq!(faults(&tree(&[]), "ours", "# Title").len(), 1);
    }
}
