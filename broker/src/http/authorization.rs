//! Who asks, and what it may see and do.
//!
//! Every handler names what it wants in its arguments: a [`Visitor`] has logged in and has one of the
//! tags that let it in, an [`Administrator`] or a [`Monitor`] is one. Logging in is AMQP's: the same
//! backends, the same memory of right passwords, the same slowness for who guesses. Stays true: nothing
//! is told of what a user may not see; texts are RabbitMQ's.
//! See <https://www.rabbitmq.com/docs/management#permissions>.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::answer::Fault;
use super::{Management, Peer, cookies};
use crate::auth::authority::{Access, Admitted, Authority, Rights};
use crate::auth::rights::{Expressions, Permission};
use crate::auth::sasl::{Claim, Identity};
use crate::broker::access::By;
use crate::error::{ChannelError, ResourceName};
use crate::vhost::Vhost;

/// Whoever may open the socket in the data directory has this name.
const COMMAND_LINE: &str = "rabbitmq-cli";
/// Most users whose rights another server knows are asked about so many vhosts for a list.
const ASKED_MAX: usize = 256;

/// A user who has logged in and may use the API at all.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    peer: Peer,
    who: Who,
}

#[derive(Clone, Debug)]
enum Who {
    User(Arc<Admitted>),
    CommandLine,
}

/// A visitor with the tag `administrator`.
pub(super) struct Administrator(pub Visitor);

/// A visitor with the tag `monitoring` or `administrator`.
pub(super) struct Monitor;

/// What the visitor may do in a vhost.
pub(super) enum Allowed {
    /// This.
    Some(Rights),
    /// Everything.
    All,
}

impl Visitor {
    /// Who this is, if it may use the API.
    ///
    /// # Errors
    /// 401.
    pub(super) async fn enter(
        management: &Management,
        peer: Peer,
        claim: &Claim,
    ) -> Result<Self, Fault> {
        let (logins, users) = (management.broker.logins(), management.broker.users());
        let admitted = logins.admit(users, claim, peer.address()).await.map_err(|refusal| {
            refusal.log_http(&peer.address().to_string(), claim.user());
            match refusal.is_of_address() {
                true => Fault::not_authorised("User can only log in via localhost"),
                false => Fault::unauthenticated(),
            }
        })?;
        let visitor = Self { peer, who: Who::User(Arc::new(admitted)) };
        match visitor.has_one_of(&["administrator", "monitoring", "policymaker", "management"]) {
            true => Ok(visitor),
            false => Err(Fault::not_authorised("Not management user")),
        }
    }

    /// Who signed in before.
    pub(super) fn of_session(peer: Peer, admitted: Arc<Admitted>) -> Self {
        Self { peer, who: Who::User(admitted) }
    }

    /// Whom the backends admitted; `None` for the command line.
    pub(super) fn admitted(&self) -> Option<&Arc<Admitted>> {
        match &self.who {
            Who::User(admitted) => Some(admitted),
            Who::CommandLine => None,
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        match &self.who {
            Who::User(admitted) => &admitted.name,
            Who::CommandLine => COMMAND_LINE,
        }
    }

    /// Its tags.
    pub(super) fn tags(&self) -> Vec<&str> {
        match &self.who {
            Who::User(admitted) => admitted.tags.iter().map(String::as_str).collect(),
            Who::CommandLine => vec!["administrator"],
        }
    }

    /// Whether this broker knows the user itself.
    pub(super) fn is_internal(&self) -> bool {
        match &self.who {
            Who::User(admitted) => matches!(admitted.authority, Authority::Internal),
            Who::CommandLine => true,
        }
    }

    /// As the broker's commands name it.
    pub(super) fn by(&self) -> By<'_> {
        match &self.who {
            Who::User(admitted) => By::User(&admitted.name),
            Who::CommandLine => By::CommandLine,
        }
    }

    fn has_one_of(&self, tags: &[&str]) -> bool {
        self.tags().iter().any(|own| tags.contains(own))
    }

    pub(super) fn is_administrator(&self) -> bool {
        self.has_one_of(&["administrator"])
    }

    pub(super) fn is_monitor(&self) -> bool {
        self.has_one_of(&["administrator", "monitoring"])
    }

    /// What it may do in a vhost; `None` if it may not enter.
    pub(super) async fn rights(&self, management: &Management, vhost: &str) -> Option<Allowed> {
        match &self.who {
            Who::User(admitted) => {
                let users = management.broker.users();
                let entered = admitted.enter(users, vhost, self.peer.address()).await;
                entered.ok().map(Allowed::Some)
            }
            Who::CommandLine => Some(Allowed::All),
        }
    }

    /// Whether it may enter a vhost.
    async fn may_enter(&self, management: &Management, vhost: &str) -> bool {
        match &self.who {
            // The log need not know of every list.
            Who::User(admitted) if matches!(admitted.authority, Authority::Internal) => {
                management.broker.users().permissions(&admitted.name, vhost).is_some()
            }
            Who::User(_) | Who::CommandLine => self.rights(management, vhost).await.is_some(),
        }
    }

    /// The vhost, if the user may look into it: what single things in it ask for.
    ///
    /// # Errors
    /// There is none, or that is not for the user to know.
    pub(super) async fn vhost(
        &self,
        management: &Management,
        name: &str,
    ) -> Result<Arc<Vhost>, Fault> {
        let vhost = management.broker.vhost(name).ok_or_else(Fault::not_found)?;
        match self.is_administrator() || self.may_enter(management, name).await {
            true => Ok(vhost),
            false => Err(Fault::hidden()),
        }
    }

    /// The vhost, if the user may see what is in it: what lists ask for.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn visible_vhost(
        &self,
        management: &Management,
        name: &str,
    ) -> Result<Arc<Vhost>, Fault> {
        match self.is_monitor() {
            true => management.broker.vhost(name).ok_or_else(Fault::not_found),
            false => self.vhost(management, name).await,
        }
    }

    /// The vhosts that the user may see, by their names.
    pub(super) async fn visible_vhosts(&self, management: &Management) -> Vec<Arc<Vhost>> {
        let mut vhosts = management.broker.all_vhosts();
        vhosts.sort_by(|one, other| one.name().cmp(other.name()));
        if self.is_monitor() {
            return vhosts;
        }
        let mut visible = Vec::new();
        for vhost in vhosts.into_iter().take(ASKED_MAX.max(self.known_at_once())) {
            if self.may_enter(management, vhost.name()).await {
                visible.push(vhost);
            }
        }
        visible
    }

    /// What it may do in each vhost that it may enter; `None` of one where another server has to be asked name
    /// by name.
    pub(super) async fn all_rights(
        &self,
        management: &Management,
    ) -> Vec<(String, Option<Expressions>)> {
        let vhosts = management.broker.all_vhosts().into_iter();
        let mut names: Vec<String> = vhosts.map(|vhost| vhost.name().to_owned()).collect();
        names.sort();
        names.truncate(ASKED_MAX.max(self.known_at_once()));
        let mut all = Vec::new();
        for name in names {
            if !self.may_enter(management, &name).await {
                continue;
            }
            match self.rights(management, &name).await {
                Some(Allowed::Some(rights)) => all.push((name, rights.expressions())),
                Some(Allowed::All) => all.push((name, Some(Expressions::all()))),
                None => {}
            }
        }
        all
    }

    /// Of so many vhosts it is known at once whether the user may enter.
    fn known_at_once(&self) -> usize {
        match &self.who {
            Who::User(admitted) if matches!(admitted.authority, Authority::Http(..)) => 0,
            Who::User(_) | Who::CommandLine => usize::MAX,
        }
    }

    pub(super) fn is_policymaker(&self) -> bool {
        self.has_one_of(&["administrator", "policymaker"])
    }

    /// Refused unless it has a tag of those who make policies.
    ///
    /// # Errors
    /// 401.
    pub(super) fn makes_policies(&self) -> Result<(), Fault> {
        if self.is_policymaker() { Ok(()) } else { Err(not_its_own()) }
    }

    /// Refused unless it is an administrator.
    ///
    /// # Errors
    /// 401.
    pub(super) fn administrates(&self) -> Result<(), Fault> {
        match self.is_administrator() {
            true => Ok(()),
            false => Err(Fault::not_authorised("Not administrator user")),
        }
    }

    /// Refused unless the visitor is an administrator, or a policymaker who may enter the vhost.
    ///
    /// # Errors
    /// 401 or 404.
    pub(super) async fn may_make_policies(
        &self,
        management: &Management,
        vhost: &str,
    ) -> Result<Arc<Vhost>, Fault> {
        match self.is_policymaker() {
            true => self.vhost(management, vhost).await,
            false => Err(Fault::not_authorised("User not authorised to access object")),
        }
    }

    /// Refused unless it is the visitor's own, or it may see those of others.
    ///
    /// # Errors
    /// 401.
    pub(super) fn may_see_of(&self, user: &str) -> Result<(), Fault> {
        let may = self.is_monitor() || self.name() == user;
        if may { Ok(()) } else { Err(not_its_own()) }
    }

    /// The same, to end it.
    ///
    /// # Errors
    /// 401.
    pub(super) fn may_end_of(&self, user: &str) -> Result<(), Fault> {
        let may = self.is_administrator() || self.name() == user;
        if may { Ok(()) } else { Err(not_its_own()) }
    }
}

fn not_its_own() -> Fault {
    Fault::not_authorised("User not authorised to access object")
}

impl Allowed {
    /// Refused unless the user has this permission, as AMQP asks for it.
    ///
    /// # Errors
    /// RabbitMQ's text.
    pub(super) async fn check(
        &self,
        user: &str,
        permission: Permission,
        resource: &ResourceName,
        name: &str,
    ) -> Result<(), ChannelError> {
        let Self::Some(rights) = self else { return Ok(()) };
        let ask = || rights.access(permission, resource.kind(), name);
        let refused = ChannelError::AccessRefused {
            permission: permission.name(),
            resource: resource.clone(),
            user: user.to_owned(),
        };
        match known(rights, ask).await {
            Access::Granted => Ok(()),
            Access::Refused(more) if !more.is_empty() => {
                Err(ChannelError::Refused(format!("{refused}{more}")))
            }
            Access::Refused(_) | Access::Unknown => Err(refused),
        }
    }

    /// The same for a routing key of a topic exchange.
    ///
    /// # Errors
    /// RabbitMQ's text.
    pub(super) async fn check_topic(
        &self,
        user: &str,
        permission: Permission,
        exchange: (&ResourceName, &str),
        key: &str,
    ) -> Result<(), ChannelError> {
        let Self::Some(rights) = self else { return Ok(()) };
        let (resource, name) = exchange;
        let more = match known(rights, || rights.topic_access(permission, name, key)).await {
            Access::Granted => return Ok(()),
            Access::Refused(more) => more,
            Access::Unknown => String::new(),
        };
        Err(ChannelError::Refused(format!(
            "{} access to topic '{key}' in {resource} refused for user '{user}'{more}",
            permission.name(),
        )))
    }
}

/// What another server has to be asked for is asked for, once.
async fn known(rights: &Rights, ask: impl Fn() -> Access) -> Access {
    let access = ask();
    if access != Access::Unknown {
        return access;
    }
    if let Some(inquiry) = rights.asked() {
        inquiry.find_out().await;
    }
    ask()
}

impl FromRequestParts<Arc<Management>> for Visitor {
    type Rejection = Fault;

    async fn from_request_parts(
        parts: &mut Parts,
        management: &Arc<Management>,
    ) -> Result<Self, Fault> {
        let peer = *parts.extensions.get::<Peer>().ok_or_else(Fault::anonymous)?;
        if peer == Peer::Local {
            return Ok(Self { peer, who: Who::CommandLine });
        }
        let Some(credentials) = parts.headers.get(AUTHORIZATION) else {
            let admitted = cookies::admitted(management, peer, parts)?;
            return Ok(Self::of_session(peer, admitted));
        };
        Self::enter(management, peer, &claim(credentials.as_bytes())?).await
    }
}

impl FromRequestParts<Arc<Management>> for Administrator {
    type Rejection = Fault;

    async fn from_request_parts(
        parts: &mut Parts,
        management: &Arc<Management>,
    ) -> Result<Self, Fault> {
        let visitor = Visitor::from_request_parts(parts, management).await?;
        match visitor.is_administrator() {
            true => Ok(Self(visitor)),
            false => Err(Fault::not_authorised("Not administrator user")),
        }
    }
}

impl FromRequestParts<Arc<Management>> for Monitor {
    type Rejection = Fault;

    async fn from_request_parts(
        parts: &mut Parts,
        management: &Arc<Management>,
    ) -> Result<Self, Fault> {
        let visitor = Visitor::from_request_parts(parts, management).await?;
        match visitor.is_monitor() {
            true => Ok(Self),
            false => Err(Fault::not_authorised("Not monitor user")),
        }
    }
}

/// Who a client says it is: by name and password (RFC 7617), or by a token (RFC 6750).
fn claim(header: &[u8]) -> Result<Claim, Fault> {
    let header = std::str::from_utf8(header).map_err(|_| Fault::malformed())?;
    let (scheme, rest) = header.split_once(' ').ok_or_else(Fault::anonymous)?;
    let (user, password) = if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(rest.trim()).map_err(|_| Fault::malformed())?;
        let at = decoded.iter().position(|byte| *byte == b':').ok_or_else(Fault::malformed)?;
        let (user, password) = decoded.split_at(at);
        let user = String::from_utf8(user.to_vec()).map_err(|_| Fault::malformed())?;
        (user, password.iter().skip(1).copied().collect())
    } else if scheme.eq_ignore_ascii_case("bearer") {
        (String::new(), rest.trim().as_bytes().to_vec())
    } else {
        return Err(Fault::anonymous());
    };
    Ok(Claim::Password(Identity { user, password }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(header: &str) -> Option<(String, Vec<u8>)> {
        match claim(header.as_bytes()) {
            Ok(Claim::Password(Identity { user, password })) => Some((user, password)),
            Ok(Claim::Certificate(_) | Claim::Unproved(_)) | Err(_) => None,
        }
    }

    #[test]
    fn names_end_at_the_first_colon_and_passwords_are_any_octets() {
        let basic = |text: &[u8]| format!("Basic {}", STANDARD.encode(text));
        let pair = |user: &str, password: &[u8]| Some((user.to_owned(), password.to_vec()));
        assert_eq!(said(&basic(b"bob:a:b")), pair("bob", b"a:b"));
        assert_eq!(said(&basic(b":")), pair("", b""));
        assert_eq!(said(&basic(b"bob:\xff\x00")), pair("bob", b"\xff\x00"));
        assert_eq!(said("bearer abc"), pair("", b"abc"));
        for wrong in [&basic(b"bob"), "Basic !", "Digest x", "Basic", &basic(b"\xff:x")] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }
}
