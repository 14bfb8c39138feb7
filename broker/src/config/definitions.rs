//! Which definitions are loaded at every start: `load_definitions` and `definitions.*`.
//!
//! `import` reads the files.

use std::path::PathBuf;

use super::error::ConfigError;
use super::keys;
use super::settings::Settings;

/// See the module documentation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadDefinitions {
    /// Files, and directories of files, in the order in which they are loaded.
    pub paths: Vec<PathBuf>,
    /// Not when they are what was loaded last.
    pub skip_if_unchanged: bool,
}

impl LoadDefinitions {
    /// RabbitMQ: the old key goes before the new one, if there are both.
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        // Checked when it was set; there is only one.
        settings.find(&keys::DEFINITIONS_BACKEND)?;
        let old = settings.find(&keys::LOAD_DEFINITIONS)?;
        let new = settings.find(&keys::DEFINITIONS_PATH)?;
        Ok(Self {
            paths: old.into_iter().chain(new).collect(),
            skip_if_unchanged: settings.get(&keys::DEFINITIONS_SKIP)?,
        })
    }
}
