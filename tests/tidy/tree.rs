//! The files of the repository: what is ours, without what is built, fetched
//! or kept by tools.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of what is no source, at any depth.
const SKIPPED: &[&str] =
    &["target", "node_modules", ".git", ".venv", "__pycache__", "corpus", "artifacts"];

/// One file: its path from the top of the repository, and its text.
pub(crate) struct File {
    /// With `/` between the folders.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl File {
    /// The folders and the file name.
    pub(crate) fn parts(&self) -> Vec<&str> {
        self.path.split('/').collect()
    }
}

/// The top of the repository, or of another one that `LEVERET_TREE` names.
pub(crate) fn top() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
    let named = env::var_os("LEVERET_TREE").map(PathBuf::from);
    named.or_else(own).expect("tests is a folder of the repository")
}

/// Every text file, in order of its path.
pub(crate) fn text_files() -> Vec<File> {
    let mut paths = Vec::new();
    collect(&top(), &mut paths);
    paths.sort();
    let files: Vec<File> = paths.iter().filter_map(|path| read(path)).collect();
    assert!(files.len() > 20, "only {} files found: is this the repository?", files.len());
    files
}

/// Every Rust file.
pub(crate) fn rust_files() -> Vec<File> {
    let is_rust = |file: &File| Path::new(&file.path).extension().is_some_and(|it| it == "rs");
    text_files().into_iter().filter(is_rust).collect()
}

/// The Rust files of a member's `src`, with their paths from there.
pub(crate) fn sources_of(member: &str) -> Vec<File> {
    let home = format!("{member}/src/");
    let inside = |file: File| {
        let path = file.path.strip_prefix(&home)?.to_owned();
        Some(File { path, text: file.text })
    };
    rust_files().into_iter().filter_map(inside).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if SKIPPED.contains(&name.as_ref()) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// `None` for a file that is not text.
fn read(path: &Path) -> Option<File> {
    let bytes = fs::read(path).expect("a file of the repository can be read");
    let text = String::from_utf8(bytes).ok()?;
    let path = path.strip_prefix(top()).expect("the file is under the top");
    Some(File { path: path.to_string_lossy().replace('\\', "/"), text })
}
