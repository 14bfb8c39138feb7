//! The table of everything that can be asked: of whom, with what, and what is told.
//!
//! Read by `openapi`, which makes the document and the header `allow` of it; its rooms have the rows. Stays
//! true: it is what `routes` has (a test in `openapi` holds it to that).

mod access;
mod broker;
mod clients;
mod health;
mod topology;

/// A method of HTTP; where there is GET there is HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Get,
    Post,
    Put,
    Delete,
}

/// Who may ask. What else it may have to be is for the answer to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Everybody.
    Anyone,
    /// Who has one of management's tags.
    User,
    /// Who has the tag `monitoring` or `administrator`.
    Monitor,
    /// Who has the tag `administrator`.
    Administrator,
}

/// What a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// No body.
    Nothing,
    /// An object of this schema.
    Body(&'static str),
    /// Definitions, as JSON or in a form.
    Definitions,
    /// A form.
    Form,
    /// A row of messages, see `restocking`.
    Messages,
}

/// What is told where nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Something, as JSON.
    One,
    /// A list, of which pages and columns may be asked for.
    List,
    /// Nothing.
    Done,
    /// Nothing, save whether it is new.
    Put,
    /// Where it is that is new.
    Created,
    /// Events, until the end.
    Stream,
    /// Metrics, as Prometheus reads them.
    Metrics,
    /// A tar archive.
    Archive,
    /// Nothing: the browser is sent on.
    Elsewhere,
}

/// One thing that can be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// How.
    pub ask: Ask,
    /// Where.
    pub path: &'static str,
    /// By whom.
    pub who: Who,
    /// With what.
    pub given: Given,
    /// What is told.
    pub told: Told,
    /// What it does.
    pub summary: &'static str,
}

const fn row(
    ask: Ask,
    path: &'static str,
    who: Who,
    given: Given,
    told: Told,
    summary: &'static str,
) -> Operation {
    Operation { ask, path, who, given, told, summary }
}

/// All of them.
pub(super) fn operations() -> impl Iterator<Item = &'static Operation> {
    let rooms = [broker::ROWS, access::ROWS, clients::ROWS, topology::ROWS, health::ROWS];
    rooms.into_iter().flatten()
}

impl Ask {
    /// As HTTP has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl Who {
    /// The tag that a user must have, if one alone will do.
    pub(super) const fn tag(self) -> Option<&'static str> {
        match self {
            Self::Anyone | Self::User => None,
            Self::Monitor => Some("monitoring or administrator"),
            Self::Administrator => Some("administrator"),
        }
    }
}
