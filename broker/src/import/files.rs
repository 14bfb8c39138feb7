//! The files that definitions are loaded from.
//!
//! A room of `import`. A directory stands for the files in it, in the order of their names, as on
//! RabbitMQ.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::ImportError;

/// A file and what is in it.
pub(super) type Read = (PathBuf, Vec<u8>);

/// Reads all files.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Read>, ImportError> {
    let mut read = Vec::new();
    for path in paths {
        for file in files_at(path)? {
            let text = fs::read(&file).map_err(failed(&file))?;
            read.push((file, text));
        }
    }
    Ok(read)
}

/// Stands for what is in them, and not for their names.
pub(super) fn hash(files: &[Read]) -> String {
    let mut hash = Sha256::new();
    for (_, text) in files {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    STANDARD.encode(hash.finalize())
}

fn files_at(path: &Path) -> Result<Vec<PathBuf>, ImportError> {
    if !fs::metadata(path).map_err(failed(path))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed(path))? {
        let file = entry.map_err(failed(path))?.path();
        // Container platforms put directories with odd names beside the files.
        if fs::metadata(&file).map_err(failed(&file))?.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> ImportError {
    let path = path.to_owned();
    move |source| ImportError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_its_files_in_the_order_of_their_names() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("b.json", "2"), ("a.json", "1"), ("c", "3")] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        fs::create_dir(directory.path().join("..data")).unwrap();
        let alone = directory.path().join("a.json");
        let files = read(&[directory.path().to_owned(), alone.clone()]).unwrap();
        let texts: Vec<_> = files.iter().map(|(_, text)| &**text).collect();
        assert_eq!(texts, [b"1", b"2", b"3", b"1"]);
        let missing = read(&[alone, directory.path().join("none")]).unwrap_err().to_string();
        assert!(missing.contains("none: No such file"), "{missing}");
    }

    #[test]
    fn a_hash_stands_for_what_is_in_the_files() {
        let of = |texts: &[&str]| {
            let files: Vec<_> =
                texts.iter().map(|text| (PathBuf::new(), text.as_bytes().to_vec())).collect();
            hash(&files)
        };
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        for other in [&["a", "bc"][..], &["abc"], &["c", "ab"], &[]] {
            assert_ne!(of(&["ab", "c"]), of(other));
        }
    }
}
