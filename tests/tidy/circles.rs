//! No circles: in each folder the rooms, a file or a folder each, import one
//! another in one direction. A folder's face, its `mod.rs`, `lib.rs` or the
//! file beside it, and the rooms behind it may know each other, so edges
//! between a face and what is inside its folder do not count; every other
//! import is one between two rooms of the innermost folder that holds both.

use std::collections::{BTreeMap, BTreeSet};

use crate::assert_none;
use crate::imports::{Import, imports, module_path};
use crate::tree::{File, sources_of};

/// The crates that are free of circles, with the names of their libraries. The
/// broker is held to it with its floors.
const CRATES: &[(&str, &str)] =
    &[("protocol", "leveret_protocol"), ("bench", "leveret_bench"), ("storage", "leveret_storage")];

/// The imports between the rooms of one folder: from, to, and one example.
type Rooms<'a> = BTreeMap<String, BTreeMap<String, &'a Import>>;

/// One line for each circle among `files`.
pub(crate) fn circles(files: &[File], name: &str) -> Vec<String> {
    let imports = imports(files, name);
    let mut folders: BTreeMap<String, Rooms<'_>> = BTreeMap::new();
    for import in &imports {
        if let Some((folder, from, to)) = rooms(import) {
            let rooms = folders.entry(folder).or_default();
            rooms.entry(from).or_default().entry(to).or_insert(import);
        }
    }
    folders.iter().flat_map(|(folder, rooms)| circles_in(folder, rooms)).collect()
}

/// The folder that holds both ends of an import, and the rooms they are in.
/// `None` where one end is the face of a folder that holds the other, and
/// between a binary and its library.
fn rooms(import: &Import) -> Option<(String, String, String)> {
    let (from, to) = (module_path(&import.from), module_path(&import.to));
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    if shared == 0 {
        return None;
    }
    let folder = from.get(..shared)?.join("::");
    Some((folder, from.get(shared)?.clone(), to.get(shared)?.clone()))
}

/// Rooms that reach each other are in a circle; each circle is told once, with
/// an example of every import in it.
fn circles_in(folder: &str, rooms: &Rooms<'_>) -> Vec<String> {
    let mut told = Vec::new();
    let mut seen = BTreeSet::new();
    for room in rooms.keys() {
        let ahead = reachable(rooms, room);
        let circle: BTreeSet<&str> =
            ahead.iter().copied().filter(|it| reachable(rooms, it).contains(&**room)).collect();
        if circle.len() < 2 || !seen.insert(circle.clone()) {
            continue;
        }
        let mut lines = vec![format!("{folder}: {}", Vec::from_iter(circle.clone()).join(", "))];
        for (from, ends) in rooms.iter().filter(|(from, _)| circle.contains(from.as_str())) {
            for (to, import) in ends.iter().filter(|(to, _)| circle.contains(to.as_str())) {
                let Import { from: file, line, path, .. } = import;
                lines.push(format!("  {from} -> {to}: {file}:{line} {path}"));
            }
        }
        told.push(lines.join("\n  "));
    }
    told
}

fn reachable<'a>(rooms: &'a Rooms<'_>, start: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![start];
    while let Some(ends) = ahead.pop().map(|room| rooms.get(room)) {
        for room in ends.into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(room.as_str()) {
                ahead.push(room);
            }
        }
    }
    reached
}

#[test]
fn imports_lead_in_no_circle() {
    let mut breaches = Vec::new();
    for (member, name) in CRATES {
        let files = sources_of(member);
        assert!(!imports(&files, name).is_empty(), "the imports of {member} are read");
        breaches.extend(circles(&files, name));
    }
    assert_none(&breaches, "the rooms of a folder import each other in one direction");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        circles(&files.iter().map(file).collect::<Vec<_>>(), "ours")
    }

    #[test]
    fn a_circle_of_files_is_found_whole() {
        let faults = found(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "fn f() { crate::c::g() }"),
            ("c.rs", "use super::a::A; use crate::d::D;"),
            ("d.rs", "pub struct D;"),
        ]);
        let [fault] = faults.as_slice() else { panic!("one circle: {faults:?}") };
        assert!(fault.starts_with("crate: a, b, c\n"), "{fault}");
        assert!(fault.contains("b -> c: b.rs:1 crate::c::g"), "{fault}");
        assert!(!fault.contains("d.rs"), "{fault}");
    }

    #[test]
    fn a_circle_of_folders_is_one_without_a_circle_of_files() {
        let faults = found(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod one; mod two;"),
            ("a/one.rs", "use crate::b::three::X;"),
            ("a/two.rs", "pub struct Y;"),
            ("b/mod.rs", "pub mod three; mod four;"),
            ("b/three.rs", "pub struct X;"),
            ("b/four.rs", "use crate::a::two::Y;"),
        ]);
        assert_eq!(faults.len(), 1, "{faults:?}");
    }

    #[test]
    fn rooms_that_meet_by_way_of_their_face_are_in_a_circle() {
        let faults = found(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod one; mod two; use one::One; use two::Two;"),
            ("a/one.rs", "use super::Two; pub struct One;"),
            ("a/two.rs", "use super::One; pub struct Two;"),
        ]);
        let [fault] = faults.as_slice() else { panic!("one circle: {faults:?}") };
        assert!(fault.starts_with("crate::a: one, two\n"), "{fault}");
    }

    #[test]
    fn a_face_and_its_rooms_may_know_each_other() {
        let faults = found(&[
            ("lib.rs", "mod a; mod b; pub const VERSION: u8 = 1; use a::X;"),
            ("a/mod.rs", "mod inner; pub struct X; use inner::Y; use crate::b::Z;"),
            ("a/inner.rs", "pub struct Y(super::X); const V: u8 = crate::VERSION;"),
            ("b.rs", "pub struct Z;"),
            ("main.rs", "use ours::a::X;"),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
    }
}
