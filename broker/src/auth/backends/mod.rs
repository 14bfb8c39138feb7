//! The backends that say who a client is, in the order in which they are asked.
//!
//! Held by `login`. RabbitMQ's rules (<https://www.rabbitmq.com/docs/access-control#backends>): the
//! first that knows the client lets it in; where another one is to say what it may do (`authz`), that
//! one must know the user, too, or the next is asked. Stays true: when none lets a client in, every
//! reason is kept, for the log alone.

mod internal;

use std::sync::Arc;
use std::time::Duration;

use self::internal::{Internal, invalid};
use super::authority::{Admitted, Authority};
use super::http::{Http, Login};
use super::oauth2::{KeyringError, OAuth2, is_token};
use super::sasl::Claim;
use super::users::Users;
use crate::config::{AuthBackends, Authentication, Backend, Link};
use crate::http_client::RootsError;

/// See the module documentation.
pub(super) struct Backends {
    links: Vec<Link>,
    internal: Internal,
    http: Option<Arc<Http>>,
    oauth2: Option<Arc<OAuth2>>,
    lifetime: Duration,
}

/// Why a backend does not let a client in: a line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    /// Which one.
    pub backend: Backend,
    /// What it says.
    pub text: String,
}

/// The backends cannot be set up. One line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    /// Whose certificates the service may have is not known.
    #[error("auth_http: {0}")]
    Http(RootsError),
    /// Keys of tokens cannot be read.
    #[error(transparent)]
    OAuth2(#[from] KeyringError),
}

impl Backends {
    /// As configured.
    ///
    /// # Errors
    /// A file is missing or cannot be read.
    pub(super) fn new(authentication: &Authentication) -> Result<Self, BackendError> {
        let AuthBackends { links, http, oauth2, cache } = &authentication.backends;
        let is_named = |backend| links.iter().any(|link| link.names(backend));
        let shared = cache.is_used.then_some((cache.lifetime, cache.refusals));
        let http = is_named(Backend::Http).then(|| Http::new(http, shared)).transpose();
        let oauth2 = is_named(Backend::OAuth2).then(|| OAuth2::new(oauth2));
        Ok(Self {
            links: links.clone(),
            internal: Internal::new(authentication.password_hashing),
            http: http.map_err(BackendError::Http)?.map(Arc::new),
            oauth2: oauth2.transpose()?.map(Arc::new),
            lifetime: cache.lifetime,
        })
    }

    /// Whether what the client says is a token, and tokens are taken here.
    pub(super) fn is_token(&self, claim: &Claim) -> bool {
        self.oauth2.is_some() && claim.password().is_some_and(is_token)
    }

    /// Asks one after the other.
    ///
    /// # Errors
    /// None lets the client in.
    pub(super) async fn login(
        &self,
        users: &Users,
        claim: &Claim,
    ) -> Result<Admitted, Vec<Reason>> {
        let mut reasons = Vec::new();
        for link in &self.links {
            match self.follow(*link, users, claim).await {
                Ok(admitted) => return Ok(admitted),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons)
    }

    async fn follow(&self, link: Link, users: &Users, claim: &Claim) -> Result<Admitted, Reason> {
        let refused = |backend| move |text| Reason { backend, text };
        let known = self.authenticate(link.authn, users, claim);
        let known = known.await.map_err(refused(link.authn))?;
        if link.authn == link.authz {
            return Ok(known);
        }
        let authorised = self.authorise(link.authz, users, claim, &known.name);
        let authorised = authorised.await.map_err(refused(link.authz))?;
        Ok(Admitted { tags: [known.tags, authorised.tags].concat(), ..authorised })
    }

    async fn authenticate(
        &self,
        backend: Backend,
        users: &Users,
        claim: &Claim,
    ) -> Result<Admitted, String> {
        match (backend, claim) {
            (_, Claim::Unproved(reason)) => Err((*reason).to_owned()),
            (Backend::Internal, Claim::Password(identity)) => {
                let user = self.internal.verify(users, identity).await?;
                Ok(Admitted::internal(&user.name, &user.tags))
            }
            (Backend::Internal, Claim::Certificate(name)) => {
                let user = users.user(name).ok_or_else(|| invalid(name))?;
                Ok(Admitted::internal(&user.name, &user.tags))
            }
            (Backend::Http, claim) => self.ask_http(claim.user(), claim.password()).await,
            (Backend::OAuth2, claim) => self.verify_token(claim.password()).await,
        }
    }

    /// What a backend says of a user whom another one has let in.
    async fn authorise(
        &self,
        backend: Backend,
        users: &Users,
        claim: &Claim,
        name: &str,
    ) -> Result<Admitted, String> {
        match backend {
            Backend::Internal => {
                let user = users.user(name).ok_or_else(|| invalid(name))?;
                Ok(Admitted::internal(&user.name, &user.tags))
            }
            Backend::Http => self.ask_http(name, claim.password()).await,
            // RabbitMQ: whose token it is does not count.
            Backend::OAuth2 => {
                let admitted = self.verify_token(claim.password()).await?;
                Ok(Admitted { name: name.to_owned(), ..admitted })
            }
        }
    }

    async fn verify_token(&self, token: Option<&[u8]>) -> Result<Admitted, String> {
        let Some(oauth2) = &self.oauth2 else { return Err("it is not set up".to_owned()) };
        let Some(token) = token else { return Err("there is no token".to_owned()) };
        let token = oauth2.verify(token).await.map_err(|why| why.to_string())?;
        let (name, tags) = (token.name.clone(), token.tags.clone());
        let authority = Authority::Token(Arc::clone(oauth2), Box::new(token));
        Ok(Admitted { name, tags, authority })
    }

    async fn ask_http(&self, name: &str, password: Option<&[u8]>) -> Result<Admitted, String> {
        let Some(http) = &self.http else { return Err("it is not set up".to_owned()) };
        match http.login(name, password).await {
            Login::Known(tags) => {
                let authority = Authority::Http(Arc::clone(http), self.lifetime);
                Ok(Admitted { name: name.to_owned(), tags, authority })
            }
            Login::Refused(reason) => Err(reason),
        }
    }
}

impl Admitted {
    fn internal(name: &str, tags: &[String]) -> Self {
        Self { name: name.to_owned(), tags: tags.to_vec(), authority: Authority::Internal }
    }
}
