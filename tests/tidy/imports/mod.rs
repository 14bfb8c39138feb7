//! Who imports whom in a crate of ours, read from its files: the `use` lines
//! and the paths in bodies. Called by [`crate::circles`] and
//! [`crate::floors`].
//!
//! An import counts against the file that defines what it names, and against
//! every file whose re-export it goes by: whoever says `crate::queue::Key`
//! needs `queue/mod.rs` and, if that has it from there, `queue/keys.rs` too.
//! A folder that is only walked through is not imported. What is compiled for
//! tests only imports nothing. Macros that are found by the order of the text
//! and not by a path are not seen; they cannot lead in a circle.

mod declarations;
mod resolve;
mod tokens;

use std::collections::HashSet;

use crate::tree::File;

/// The module at the top of a library.
const CRATE: &str = "crate";

/// One file needs another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    /// The file that imports, from its crate's `src`.
    pub(crate) from: String,
    /// The line in it.
    pub(crate) line: usize,
    /// The file that is imported.
    pub(crate) to: String,
    /// The path as it is written there.
    pub(crate) path: String,
}

/// The imports between `files`, whose paths are relative to the `src` of their
/// crate; the binary beside the library calls that `name`.
pub(crate) fn imports(files: &[File], name: &str) -> Vec<Import> {
    let shipped = files.iter().filter(|file| !is_for_tests(file, files));
    resolve::Crate::read(shipped, name).imports()
}

/// The module that a file is: `crate`, then the folders, then its own name. A
/// `main.rs` is the top of a crate of its own.
pub(crate) fn module_path(file: &str) -> Vec<String> {
    let name = file.strip_suffix(".rs").unwrap_or(file);
    match name {
        "lib" => return vec![CRATE.to_owned()],
        "main" => return vec!["main".to_owned()],
        _ => {}
    }
    let name = name.strip_suffix("/mod").unwrap_or(name);
    [CRATE].into_iter().chain(name.split('/')).map(str::to_owned).collect()
}

/// Whether the file, or a module around it, is declared under `#[cfg(test)]`.
fn is_for_tests(file: &File, files: &[File]) -> bool {
    let path = module_path(&file.path);
    (1..path.len()).any(|depth| {
        let (parent, child) = (path.get(..depth), path.get(depth));
        let mut parents = files.iter().filter(|it| Some(&*module_path(&it.path)) == parent);
        parents.any(|parent| child.is_some_and(|child| is_test_module(&parent.text, child)))
    })
}

fn is_test_module(parent: &str, child: &str) -> bool {
    let modules = declarations::modules_of(parent);
    let shipped: HashSet<&String> = modules.iter().flat_map(|it| &it.children).collect();
    !shipped.contains(&child.to_owned()) && declarations::all_children(parent).contains(child)
}

#[cfg(test)]
mod tests;
