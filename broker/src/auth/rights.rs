//! The rights there are, and the regular expressions that say how far one goes.
//!
//! Values that `permissions` and `topics` are made of. Stays true: an expression that was compiled once
//! compiles again.

use regex::Regex;

/// The three rights. Which operation needs which: RabbitMQ's access control page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Permission {
    /// Declare and delete.
    Configure,
    /// Publish to, bind to.
    Write,
    /// Consume from, get from, purge, bind from.
    Read,
}

impl Permission {
    /// The word in error texts.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// An expression that fits no name, not even the empty one.
pub(in crate::auth) const NO_NAME: &str = "[^\\s\\S]";

/// What a user may do in a vhost, as expressions for who tries names itself: in `""` the empty name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expressions {
    /// Names that may be configured.
    pub configure: String,
    /// Names that may be written to.
    pub write: String,
    /// Names that may be read from.
    pub read: String,
    /// Of exchanges whose routing keys are restricted: which may be written with, and read.
    pub topics: Vec<(String, [String; 2])>,
}

impl Expressions {
    /// Of who may do everything.
    pub(crate) fn all() -> Self {
        let [configure, write, read] = [(); 3].map(|()| ".*".to_owned());
        Self { configure, write, read, topics: Vec::new() }
    }
}

/// A text that is not a regular expression as this broker knows them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{expression}' is not a regular expression: {reason}")]
pub(crate) struct PatternError {
    expression: String,
    reason: String,
}

impl PatternError {
    /// The expression, and what is wrong with it.
    pub(crate) fn parts(self) -> (String, String) {
        (self.expression, self.reason)
    }
}

/// A right's extent, compiled.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// `.*`, so common that names are not even looked at.
    Everything,
    /// The empty expression.
    OnlyTheEmptyName,
    /// Anything else.
    Matching(Regex),
    /// No name at all: rights that were taken away.
    Nothing,
}

/// Whether a right may be given in these words.
///
/// # Errors
/// It is not a regular expression as this broker knows them.
pub(crate) fn assert_pattern(expression: &str) -> Result<(), PatternError> {
    Pattern::compile(expression).map(drop)
}

impl Pattern {
    pub(super) fn compile(expression: &str) -> Result<Self, PatternError> {
        match expression {
            "" => Ok(Self::OnlyTheEmptyName),
            // Names have no line breaks, so these match every name.
            ".*" | "^.*$" | "^.*" | ".*$" => Ok(Self::Everything),
            _ => Regex::new(expression).map(Self::Matching).map_err(|error| PatternError {
                expression: expression.to_owned(),
                // The regex crate draws the expression over several lines first.
                reason: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
            }),
        }
    }

    /// The expression for who tries names itself; of no name at all it is one that fits none.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Nothing => NO_NAME.to_owned(),
            Self::Everything | Self::OnlyTheEmptyName | Self::Matching(_) => {
                self.expression().to_owned()
            }
        }
    }

    /// The expression it was compiled of.
    pub(super) fn expression(&self) -> &str {
        match self {
            Self::Everything => ".*",
            Self::OnlyTheEmptyName => "",
            Self::Matching(regex) => regex.as_str(),
            Self::Nothing => "(none)",
        }
    }

    pub(super) fn matches(&self, resource: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::OnlyTheEmptyName => resource.is_empty(),
            Self::Matching(regex) => regex.is_match(resource),
            Self::Nothing => false,
        }
    }
}
