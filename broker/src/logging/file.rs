//! A log file that is opened anew when asked, and set aside when it is large.
//!
//! Owned by `logging`. `FILE` is set aside as `FILE.0`, which was set aside before as `FILE.1`, and so
//! on, as RabbitMQ does it. Stays true: a file that cannot be written to does not stop the broker;
//! what should have gone there is lost, and standard error told once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFile;

/// See the module documentation; nothing is written before there is a file.
#[derive(Debug, Clone, Default)]
pub(super) struct FileWriter(Arc<Mutex<Option<Open>>>);

/// A file that is open.
#[derive(Debug)]
pub(super) struct Open {
    settings: LogFile,
    file: File,
    written: u64,
    has_failed: bool,
}

impl Open {
    /// Opens the file, and makes its directory if there is none.
    ///
    /// # Errors
    /// The system does not let it.
    pub(super) fn new(settings: &LogFile) -> io::Result<Self> {
        if let Some(directory) = settings.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = append_to(&settings.path)?;
        let written = file.metadata()?.len();
        Ok(Self { settings: settings.clone(), file, written, has_failed: false })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let limit = self.settings.rotate_at.unwrap_or(u64::MAX);
        if self.written > 0 && self.written.saturating_add(line.len() as u64) > limit {
            self.set_aside()?;
        }
        self.file.write_all(line)?;
        self.written += line.len() as u64;
        Ok(())
    }

    fn set_aside(&mut self) -> io::Result<()> {
        let LogFile { path, kept, .. } = &self.settings;
        for older in (0..*kept).rev() {
            let newer = match older {
                0 => path.clone(),
                _ => numbered(path, older - 1),
            };
            if newer.exists() {
                fs::rename(newer, numbered(path, older))?;
            }
        }
        if *kept == 0 {
            fs::remove_file(path)?;
        }
        self.file = append_to(path)?;
        self.written = 0;
        Ok(())
    }

    #[expect(clippy::print_stderr, reason = "the log itself cannot be written")]
    fn complain_once(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_failed, true) {
            eprintln!("leveret: {}: {error}; log lines are lost", self.settings.path.display());
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl FileWriter {
    /// Writes there from now on; nowhere if it is `None`.
    pub(super) fn use_file(&self, open: Option<Open>) {
        *self.0.lock() = open;
    }
}

impl Write for FileWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(open) = &mut *self.0.lock() {
            match open.write(line) {
                Ok(()) => open.has_failed = false,
                Err(error) => open.complain_once(&error),
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for FileWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogOutput;

    fn settings(path: PathBuf, rotate_at: u64, kept: usize) -> LogFile {
        LogFile { path, output: LogOutput::default(), rotate_at: Some(rotate_at), kept }
    }

    fn texts(directory: &Path) -> Vec<(String, String)> {
        let read = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        };
        let mut all: Vec<_> = fs::read_dir(directory).unwrap().map(|e| read(e.unwrap())).collect();
        all.sort();
        all
    }

    #[test]
    fn a_large_file_is_set_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/leveret.log");
        let mut writer = FileWriter::default();
        writer.write_all(b"to nowhere\n").unwrap();
        writer.use_file(Some(Open::new(&settings(path.clone(), 8, 2)).unwrap()));
        for line in ["a\n", "b\n", "cccccc\n", "dddddddddddd\n", "e\n", "ffffff\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let expected = [
            text("leveret.log", "ffffff\n"),
            text("leveret.log.0", "e\n"),
            text("leveret.log.1", "dddddddddddd\n"),
        ];
        assert_eq!(texts(path.parent().unwrap()), expected);
        // One that was moved away is made anew, and what is there is kept.
        writer.use_file(Some(Open::new(&settings(path.clone(), 100, 2)).unwrap()));
        writer.write_all(b"g\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ffffff\ng\n");
    }

    #[test]
    fn without_files_that_are_kept_it_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leveret.log");
        let mut writer = FileWriter::default();
        writer.use_file(Some(Open::new(&settings(path.clone(), 3, 0)).unwrap()));
        writer.write_all(b"one\n").unwrap();
        writer.write_all(b"two\n").unwrap();
        assert_eq!(texts(directory.path()), [("leveret.log".to_owned(), "two\n".to_owned())]);
        assert!(Open::new(&settings(directory.path().to_owned(), 3, 0)).is_err());
    }
}
