//! Who says what a user may do: the broker's own users and permissions, the token it logged in with,
//! or another server.
//!
//! Made by `login` of what the configuration says; a connection asks it once whether the user may
//! enter the vhost, and gets [`Rights`], which its channels ask before every operation. The texts are
//! RabbitMQ's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::explain::{Because, Wish};
use super::http::{Http, Question, Verdict, Who};
use super::oauth2::{NoScope, OAuth2, Token, TokenRights};
use super::permissions::UserPermissions;
use super::remote::RemoteRights;
use super::rights::{Expressions, Permission};
use super::users::Users;

/// Who says what a user may do who has logged in.
#[derive(Debug, Clone)]
pub(crate) enum Authority {
    /// The broker's permissions.
    Internal,
    /// A service that is asked over HTTP; what it allows is good for so long.
    Http(Arc<Http>, Duration),
    /// The token that the user logged in with.
    Token(Arc<OAuth2>, Box<Token>),
}

/// A user who is known and has not opened a vhost.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// The user's name.
    pub name: String,
    /// What it may administrate.
    pub tags: Vec<String>,
    /// Who says what it may do.
    pub authority: Authority,
}

/// What a user may do in the vhost it opened. Follows later changes.
#[derive(Debug, Clone)]
pub(crate) enum Rights {
    /// The broker's permissions.
    Internal(Arc<UserPermissions>),
    /// Another server's.
    Remote(Arc<RemoteRights>),
    /// The token's.
    Token(Arc<TokenRights>),
}

/// Something that has to be found out before a method can go on.
#[derive(Debug, Clone)]
pub(crate) enum Inquiry {
    /// What another server says.
    Remote(Arc<RemoteRights>),
    /// Whether a new token is good.
    Token(Arc<TokenRights>),
}

/// Whether the user may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// It may.
    Granted,
    /// It may not; what is put behind RabbitMQ's sentence.
    Refused(String),
    /// Not known yet, and noted to be found out.
    Unknown,
}

impl Admitted {
    /// Whether the user has the tag.
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    fn say_refused(&self, vhost: &str, why: &str) {
        let user = &*self.name;
        tracing::warn!(
            event = "permission.refused",
            user,
            vhost,
            "user '{user}' may not enter vhost '{vhost}': {why}"
        );
    }

    /// What the user may do in the vhost.
    ///
    /// # Errors
    /// It may not enter: what is put behind RabbitMQ's sentence. The log has been told why.
    pub(crate) async fn enter(
        &self,
        users: &Users,
        vhost: &str,
        address: IpAddr,
    ) -> Result<Rights, String> {
        match &self.authority {
            Authority::Internal => {
                let permissions = users.permissions(&self.name, vhost);
                permissions.map(Rights::Internal).ok_or_else(|| {
                    self.say_refused(vhost, NO_PERMISSIONS);
                    String::new()
                })
            }
            Authority::Http(backend, lifetime) => {
                let (name, tags) = (self.name.clone(), self.tags.join(" "));
                let who = Who { name, tags, vhost: vhost.to_owned() };
                match backend.judge(&who, &Question::Enter(address)).await {
                    Verdict::Allowed => {
                        let rights = RemoteRights::new(Arc::clone(backend), who, *lifetime);
                        Ok(Rights::Remote(Arc::new(rights)))
                    }
                    refusal @ (Verdict::Denied(_) | Verdict::Failed(_)) => Err(suffix(&refusal)),
                }
            }
            Authority::Token(backend, token) => {
                let rights = TokenRights::enter(Arc::clone(backend), token, vhost);
                rights.map(Arc::new).map(Rights::Token).map_err(|NoScope| {
                    let Because { sentence, .. } = backend.explain_entry(token, vhost);
                    self.say_refused(vhost, &sentence);
                    String::new()
                })
            }
        }
    }
}

/// Why a user may not enter a vhost.
pub(crate) const NO_PERMISSIONS: &str = "the user has no permissions there";

impl Rights {
    /// Whether the right covers a queue or an exchange, as `kind` says. The default exchange goes by
    /// the name `amq.default` here.
    #[inline]
    pub(crate) fn access(&self, permission: Permission, kind: &'static str, name: &str) -> Access {
        match self {
            Self::Internal(permissions) => granted(permissions.allows(permission, name)),
            Self::Remote(remote) => {
                let question = Question::Resource { kind, name: name.to_owned(), permission };
                answered(remote, question)
            }
            Self::Token(token) => granted(token.allows(permission, name)),
        }
    }

    /// Whether the key may be written to, or read from, a topic exchange.
    #[inline]
    pub(crate) fn topic_access(&self, permission: Permission, exchange: &str, key: &str) -> Access {
        match self {
            Self::Internal(permissions) => {
                granted(permissions.allows_topic(permission, exchange, key))
            }
            Self::Remote(remote) => {
                let (name, key) = (exchange.to_owned(), key.to_owned());
                answered(remote, Question::Topic { name, permission, key })
            }
            Self::Token(token) => granted(token.allows_topic(permission, exchange, key)),
        }
    }

    /// Why the user may or may not do something; `None` where another server said so.
    pub(crate) fn explain(&self, wish: &Wish<'_>) -> Option<Because> {
        match self {
            Self::Internal(permissions) => Some(permissions.explain(wish)),
            Self::Token(token) => Some(token.explain(wish)),
            Self::Remote(_) => None,
        }
    }

    /// What it comes to, as expressions; `None` where another server is asked name by name.
    pub(crate) fn expressions(&self) -> Option<Expressions> {
        match self {
            Self::Internal(permissions) => Some(permissions.expressions()),
            Self::Token(token) => Some(token.expressions()),
            Self::Remote(_) => None,
        }
    }

    /// Grows with every change: whoever remembers an answer asks again when it is another.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        match self {
            Self::Internal(permissions) => permissions.changes(),
            Self::Remote(remote) => remote.changes(),
            Self::Token(token) => token.changes(),
        }
    }

    /// Whether the user was deleted since, also if there is one of that name again.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Internal(permissions) => permissions.is_over(),
            Self::Remote(_) | Self::Token(_) => false,
        }
    }

    /// What has to be found out before the method goes on, if there is something.
    #[inline]
    pub(crate) fn asked(&self) -> Option<Inquiry> {
        match self {
            Self::Internal(_) => None,
            Self::Remote(rights) => rights.is_asked().then(|| Inquiry::Remote(Arc::clone(rights))),
            Self::Token(rights) => rights.is_asked().then(|| Inquiry::Token(Arc::clone(rights))),
        }
    }

    /// The token's rights, if that is what counts.
    pub(crate) fn token(&self) -> Option<&Arc<TokenRights>> {
        match self {
            Self::Token(rights) => Some(rights),
            Self::Internal(_) | Self::Remote(_) => None,
        }
    }

    /// A method is done that was not asking.
    #[inline]
    pub(crate) fn method_done(&self) {
        if let Self::Remote(remote) = self {
            remote.forget_refusals();
        }
    }
}

impl Inquiry {
    /// Finds it out.
    pub(crate) async fn find_out(self) {
        match self {
            Self::Remote(rights) => rights.find_out().await,
            Self::Token(rights) => rights.find_out().await,
        }
    }
}

fn granted(is_granted: bool) -> Access {
    if is_granted { Access::Granted } else { Access::Refused(String::new()) }
}

fn answered(remote: &RemoteRights, question: Question) -> Access {
    match remote.verdict(question) {
        None => Access::Unknown,
        Some(Verdict::Allowed) => Access::Granted,
        Some(refusal) => Access::Refused(suffix(&refusal)),
    }
}

/// What RabbitMQ puts behind its sentence.
fn suffix(refusal: &Verdict) -> String {
    match refusal {
        Verdict::Allowed | Verdict::Denied(None) => String::new(),
        Verdict::Denied(Some(reason)) => format!(" by backend rabbit_auth_backend_http: {reason}"),
        Verdict::Failed(reason) => {
            format!(", backend rabbit_auth_backend_http returned an error: {reason}")
        }
    }
}
