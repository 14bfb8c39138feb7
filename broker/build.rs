//! Writes down the files of the management page, for `http::page` to embed.
//!
//! A release has them all in itself. Any other build has none and reads them from `page` when they are
//! asked for, so that a change of the page compiles nothing.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What of the folder is part of the page.
const SERVED: [&str; 4] = ["html", "css", "js", "svg"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed=page");
        collect(Path::new("page"), &mut files)?;
        files.sort();
    }
    let top = env::current_dir()?;
    let mut rows = String::new();
    let mut version = FNV_START;
    for file in &files {
        let name = file.strip_prefix("page").unwrap_or(file).to_string_lossy().into_owned();
        let bytes = fs::read(file)?;
        for byte in name.bytes().chain(bytes) {
            version = (version ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        let path = top.join(file);
        let _ = writeln!(rows, "    ({name:?}, include_bytes!({path:?}).as_slice()),");
    }
    let text = format!(
        "pub(super) const VERSION: &str = \"{version:016x}\";\n\
         pub(super) const FILES: &[(&str, &[u8])] = &[\n{rows}];\n"
    );
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    fs::write(out.join("page.rs"), text)
}

/// FNV-1a: any change of any file makes another version.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|end| SERVED.iter().any(|served| end == *served)) {
            into.push(path);
        }
    }
    Ok(())
}
