//! What a connection may do that logged in with a token: its scopes, compiled for the vhost.
//!
//! A room of `auth::oauth2`. Stays true: a check asks nobody and reads no clock; a new token
//! (connection.update-secret) is of the same user, and counts for the next method.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::claims::Token;
use super::scopes::Grant;
use super::{OAuth2, Rejected};
use crate::auth::explain::{Because, Wish};
use crate::auth::rights::{Expressions, NO_NAME, Permission};

/// See the module documentation.
pub(crate) struct TokenRights {
    backend: Arc<OAuth2>,
    user: String,
    vhost: String,
    grants: ArcSwap<Vec<Grant>>,
    /// For what is to be explained.
    token: ArcSwap<Token>,
    changes: AtomicU64,
    /// In seconds since the Unix epoch; `u64::MAX` for never.
    expires: AtomicU64,
    may_impersonate: AtomicBool,
    renewal: Mutex<Renewal>,
    renewed: Notify,
}

/// What RabbitMQ says of a new token that is not good.
const REFUSED: &str = "New secret was refused by one of the backends";

/// A new token in the place of the old one.
#[derive(Debug, Default)]
enum Renewal {
    /// Nobody asks for one.
    #[default]
    None,
    /// It is to be verified.
    Asked(Vec<u8>),
    /// It is good, or not: what RabbitMQ tells the client.
    Answered(Result<(), String>),
}

impl TokenRights {
    /// Of a token, in the vhost.
    ///
    /// # Errors
    /// No scope lets in there.
    pub(crate) fn enter(backend: Arc<OAuth2>, token: &Token, vhost: &str) -> Result<Self, NoScope> {
        let grants = backend.grants(token, vhost)?;
        Ok(Self {
            backend,
            user: token.name.clone(),
            vhost: vhost.to_owned(),
            grants: ArcSwap::from_pointee(grants),
            token: ArcSwap::from_pointee(token.clone()),
            changes: AtomicU64::new(0),
            expires: AtomicU64::new(token.expires.unwrap_or(u64::MAX)),
            may_impersonate: AtomicBool::new(token.may_impersonate()),
            renewal: Mutex::default(),
            renewed: Notify::new(),
        })
    }

    /// Whether some scope covers the queue or exchange.
    pub(crate) fn allows(&self, permission: Permission, name: &str) -> bool {
        self.grants.load().iter().any(|grant| grant.permits(permission, name))
    }

    /// What the scopes come to, as expressions; of routing keys they say nothing here.
    pub(crate) fn expressions(&self) -> Expressions {
        let grants = self.grants.load();
        let of = |permission| {
            let all = grants.iter().filter_map(|grant| grant.expression(permission));
            let all: Vec<String> = all.collect();
            if all.is_empty() { NO_NAME.to_owned() } else { format!("^(?:{})$", all.join("|")) }
        };
        Expressions {
            configure: of(Permission::Configure),
            write: of(Permission::Write),
            read: of(Permission::Read),
            topics: Vec::new(),
        }
    }

    /// Whether some scope covers the routing key.
    pub(crate) fn allows_topic(&self, permission: Permission, exchange: &str, key: &str) -> bool {
        self.grants.load().iter().any(|grant| grant.permits_topic(permission, exchange, key))
    }

    /// Whether the token permits something, and why.
    pub(crate) fn explain(&self, wish: &Wish<'_>) -> Because {
        self.backend.explain(&self.token.load(), wish)
    }

    /// Whether the user may publish in others' names.
    pub(crate) fn may_impersonate(&self) -> bool {
        self.may_impersonate.load(Ordering::Relaxed)
    }

    /// Grows when the token is another.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// When the token is over, in seconds since the Unix epoch; `u64::MAX` for never.
    pub(crate) fn expires(&self) -> u64 {
        self.expires.load(Ordering::Acquire)
    }

    /// Waits until there is another token.
    pub(crate) async fn renewed(&self) {
        self.renewed.notified().await;
    }

    /// What became of a new token; `None` notes it, to be verified.
    pub(crate) fn renew(&self, token: &[u8]) -> Option<Result<(), String>> {
        let mut renewal = self.renewal.lock();
        match std::mem::take(&mut *renewal) {
            Renewal::Answered(answer) => Some(answer),
            Renewal::None | Renewal::Asked(_) => {
                *renewal = Renewal::Asked(token.to_vec());
                None
            }
        }
    }

    /// Whether a token is to be verified.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(*self.renewal.lock(), Renewal::Asked(_))
    }

    /// Verifies the new token, and goes by it if it is good.
    pub(crate) async fn find_out(self: Arc<Self>) {
        let Renewal::Asked(token) = std::mem::take(&mut *self.renewal.lock()) else { return };
        let answer = self.replace(&token).await;
        *self.renewal.lock() = Renewal::Answered(answer);
    }

    async fn replace(&self, token: &[u8]) -> Result<(), String> {
        let user = &*self.user;
        let log = |why: &dyn fmt::Display| {
            tracing::error!(
                event = "token.renewal_refused",
                user,
                "the new token of user '{user}' is refused: {why}"
            );
        };
        let no_entry = || format!("access to vhost '{}' refused for user '{user}'", self.vhost);
        let token = self.backend.verify(token).await.map_err(|why| {
            log(&why);
            match why {
                Rejected::Unread(_) => "Secret update failed".to_owned(),
                Rejected::Refused(_) => REFUSED.to_owned(),
                Rejected::Over { told, .. } => format!(
                    "{}, backend rabbit_auth_backend_oauth2 returned an error: \"{told}\"",
                    no_entry()
                ),
            }
        })?;
        if token.name != self.user {
            log(&"it is another user's");
            return Err(REFUSED.to_owned());
        }
        let grants = self.backend.grants(&token, &self.vhost).map_err(|NoScope| {
            log(&self.backend.explain_entry(&token, &self.vhost).sentence);
            no_entry()
        })?;
        self.grants.store(Arc::new(grants));
        self.may_impersonate.store(token.may_impersonate(), Ordering::Relaxed);
        self.expires.store(token.expires.unwrap_or(u64::MAX), Ordering::Release);
        self.changes.fetch_add(1, Ordering::Release);
        self.token.store(Arc::new(token));
        self.renewed.notify_one();
        Ok(())
    }
}

/// No scope of a token lets into a vhost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoScope;

impl fmt::Debug for TokenRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRights").field("grants", &self.grants.load()).finish_non_exhaustive()
    }
}
