//! `leveret config check`: all that is to be said of configuration files, and not only the first
//! mistake.
//!
//! Called by `main`. Nothing is opened beside the files themselves; their environment counts, since
//! values may name variables of it.

use std::fs;
use std::path::Path;

use super::error::{ConfigError, Origin};
use super::settings::Settings;
use super::{Config, ServeOptions, advanced, sources, syntax};

/// What is to be said, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What the broker would not start with.
    pub errors: Vec<String>,
    /// What has no effect, and why.
    pub ignored: Vec<String>,
    /// The files that were read.
    pub files: Vec<std::path::PathBuf>,
}

impl Report {
    /// Whether the broker would start with it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// The report of a file and of those in `conf.d` beside it.
    #[must_use]
    pub fn of(file: &Path, environment: impl Fn(&str) -> Option<String>) -> Self {
        let mut report = Self::default();
        let mut settings = Settings::default();
        let drop_ins =
            report.unless_wrong(sources::drop_ins(file, &environment)).unwrap_or_default();
        for path in std::iter::once(file.to_owned()).chain(drop_ins) {
            match fs::read_to_string(&path) {
                Ok(text) => report.read(&mut settings, &path, &text, &environment),
                Err(source) => report.complain(&ConfigError::Read { path: path.clone(), source }),
            }
            report.files.push(path);
        }
        report.terms(&mut settings, &file.with_file_name("advanced.config"));
        report.ignored = std::mem::take(&mut settings.warnings);
        // What is wrong with single settings was told.
        if report.is_sound() {
            report.unless_wrong(Config::build(settings, Vec::new()));
        }
        report
    }

    /// `advanced.config`, which need not be there.
    fn terms(&mut self, settings: &mut Settings, path: &Path) {
        if let Ok(text) = fs::read_to_string(path) {
            self.unless_wrong(advanced::apply_file(settings, path, &text));
            self.files.push(path.to_owned());
        }
    }

    fn read(
        &mut self,
        settings: &mut Settings,
        path: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) {
        if path.extension().is_some_and(|ending| ending == "config") {
            self.unless_wrong(advanced::apply_file(settings, path, text));
            return;
        }
        let origin = |line| Origin::File { path: path.to_owned(), line };
        for line in syntax::lines(text, environment) {
            let set = match line {
                Ok(line) => settings.set(line.path, line.value, origin(line.number)),
                Err(error) => {
                    let (origin, detail) = (origin(error.number), error.detail);
                    Err(ConfigError::Syntax { origin, detail })
                }
            };
            self.unless_wrong(set);
        }
    }

    fn unless_wrong<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.complain(&error)).ok()
    }

    fn complain(&mut self, error: &ConfigError) {
        self.errors.push(error.to_string());
    }
}

/// The file that a broker started with these options would read.
#[must_use]
pub fn main_file(
    options: &ServeOptions,
    environment: impl Fn(&str) -> Option<String>,
) -> std::path::PathBuf {
    sources::main_file(options, &environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.conf");
        fs::write(&file, text).unwrap();
        let mut report = Report::of(&file, |_| None);
        let lines = report.errors.iter_mut().chain(&mut report.ignored);
        let place = format!("{}:", file.display());
        lines.for_each(|line| *line = line.replace(&place, ""));
        report
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let report = report(
            "hartbeat = 60\nheartbeat = often\nnonsense\n\nframe_max = 8192\n\
             net_ticktime = 60\nmqtt.listeners.tcp.default = 1883\nlog.console = $(NONE)\n",
        );
        assert_eq!(
            report.errors,
            [
                "1: unknown key 'hartbeat', did you mean 'heartbeat'?",
                "2: heartbeat: expected a number of seconds up to 65535",
                "3: expected 'key = value'",
                "8: environment variable NONE is not set",
            ]
        );
        assert_eq!(
            report.ignored,
            [
                "6: 'net_ticktime' has no effect in this broker: it is about clusters",
                "7: 'mqtt.listeners.tcp.default' has no effect in this broker: the protocol is not \
                 spoken here",
            ]
        );
        assert!(!report.is_sound());
    }

    #[test]
    fn what_is_right_is_sound_and_a_missing_file_is_not() {
        let sound = report("heartbeat = 5\nlisteners.tcp = none\n");
        assert!(sound.is_sound() && sound.ignored.is_empty(), "{sound:?}");
        let missing = Report::of(Path::new("/nowhere/x.conf"), |_| None);
        let [line] = missing.errors.as_slice() else { panic!("{missing:?}") };
        assert!(line.starts_with("cannot read /nowhere/x.conf: "), "{line}");
    }

    #[test]
    fn drop_ins_are_read_as_the_broker_reads_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.conf");
        fs::write(&file, "").unwrap();
        fs::create_dir(directory.path().join("conf.d")).unwrap();
        fs::write(directory.path().join("conf.d/1.conf"), "nonsense").unwrap();
        let report = Report::of(&file, |_| None);
        let [line] = report.errors.as_slice() else { panic!("{report:?}") };
        assert!(line.ends_with("1.conf:1: expected 'key = value'"), "{line}");
        assert_eq!(report.files.len(), 2);
    }
}
