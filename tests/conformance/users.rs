//! The users and vhosts that some rows need beside the broker's own: in the definitions that a broker
//! loads which is started here, made at a peer by the command in `LEVERET_CTL`.

use std::process::Command;
use std::sync::Once;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::run;
use leveret_tests::raw_client::Handshake;
use tempfile::TempDir;

/// A user of vhost `/`, or of no vhost at all.
pub(crate) struct User {
    /// The name, which error texts repeat.
    pub(crate) name: &'static str,
    password: &'static str,
    rights: Option<Rights>,
    /// What is limited, and how much it may have of it.
    limit: Option<(&'static str, u32)>,
    /// The routing keys of `amq.topic` that it may write and read, where that is said.
    topics: Option<(&'static str, &'static str)>,
}

struct Rights {
    configure: &'static str,
    write: &'static str,
    read: &'static str,
}

const ALL_RIGHTS: Option<Rights> = Some(Rights { configure: ".*", write: ".*", read: ".*" });

const fn user(name: &'static str, rights: Option<Rights>) -> User {
    User { name, password: "a password", rights, limit: None, topics: None }
}

/// May configure names that contain `conf`, write those with `write`, read those with `read`.
pub(crate) const LIMITED: User =
    user("conformance-limited", Some(Rights { configure: "conf", write: "write", read: "read" }));

/// May log in, but enter no vhost.
pub(crate) const OUTSIDER: User = user("conformance-outsider", None);

/// May have no connection.
pub(crate) const SHUT_OUT: User =
    User { limit: Some(("max-connections", 0)), ..user("conformance-shut-out", ALL_RIGHTS) };

/// May have one channel. A single row is this user.
pub(crate) const NARROW: User =
    User { limit: Some(("max-channels", 1)), ..user("conformance-narrow", ALL_RIGHTS) };

/// May use some routing keys of `amq.topic` and all of other exchanges.
pub(crate) const TOPICAL: User = User {
    topics: Some(("^mine\\.", "^{username}\\.")),
    ..user("conformance-topical", ALL_RIGHTS)
};

const ALL: [User; 5] = [LIMITED, OUTSIDER, SHUT_OUT, NARROW, TOPICAL];

/// A vhost of the broker's user, in which something is limited.
pub(crate) struct Vhost {
    /// The name, which error texts repeat.
    pub(crate) name: &'static str,
    limit: (&'static str, u32),
}

/// May have no connection.
pub(crate) const CLOSED: Vhost =
    Vhost { name: "conformance-closed", limit: ("max-connections", 0) };

/// May have one queue.
pub(crate) const SMALL: Vhost = Vhost { name: "conformance-small", limit: ("max-queues", 1) };

const VHOSTS: [Vhost; 2] = [CLOSED, SMALL];

impl User {
    /// The handshake of this user in vhost `/`.
    pub(crate) fn handshake(&self) -> Handshake {
        make();
        Handshake::plain(self.name, self.password)
    }

    /// Its password.
    pub(crate) fn password(&self) -> &'static str {
        self.password
    }

    fn definition(&self) -> String {
        let Self { name, password, limit, .. } = self;
        let limits = limit.map(|(what, most)| format!(r#""{what}": {most}"#)).unwrap_or_default();
        format!(
            r#"{{"name": "{name}", "password": "{password}", "tags": "", "limits": {{{limits}}}}}"#
        )
    }

    fn permission(&self) -> Option<String> {
        let Rights { configure, write, read } = self.rights.as_ref()?;
        Some(permission(self.name, "/", [configure, write, read]))
    }

    fn topic_permission(&self) -> Option<String> {
        let (write, read) = self.topics?;
        let [write, read] = [write, read].map(|pattern| pattern.replace('\\', "\\\\"));
        let name = self.name;
        Some(format!(
            r#"{{"user": "{name}", "vhost": "/", "exchange": "amq.topic", "write": "{write}",
                "read": "{read}"}}"#
        ))
    }

    fn make_at_peer(&self) {
        let Self { name, password, rights, limit, topics } = self;
        control(&["add_user", name, password]).expect("the user can be made");
        if let Some(Rights { configure, write, read }) = rights {
            let rights = ["set_permissions", name, configure, write, read];
            control(&rights).expect("the user can be given rights");
        }
        if let Some((what, most)) = limit {
            let limits = format!(r#"{{"{what}": {most}}}"#);
            control(&["set_user_limits", name, &limits]).expect("the user can be limited");
        }
        if let Some((write, read)) = topics {
            let topics = ["set_topic_permissions", name, "amq.topic", write, read];
            control(&topics).expect("the user can be given rights over topics");
        }
    }
}

impl Vhost {
    /// The handshake of the broker's user in this vhost.
    pub(crate) fn handshake(&self, broker: &Broker) -> Handshake {
        make();
        Handshake { vhost: self.name.to_owned(), ..broker.handshake() }
    }

    fn definition(&self) -> String {
        let Self { name, limit: (what, most) } = self;
        format!(r#"{{"name": "{name}", "limits": [{{"name": "{what}", "value": {most}}}]}}"#)
    }

    fn make_at_peer(&self) {
        let Self { name, limit: (what, most) } = self;
        let limits = format!(r#"{{"{what}": {most}}}"#);
        control(&["add_vhost", name]).expect("the vhost can be made");
        control(&["set_permissions", "-p", name, "guest", ".*", ".*", ".*"])
            .expect("the broker's user can be given rights");
        control(&["set_vhost_limits", "-p", name, &limits]).expect("the vhost can be limited");
    }
}

fn permission(user: &str, vhost: &str, [configure, write, read]: [&str; 3]) -> String {
    format!(
        r#"{{"user": "{user}", "vhost": "{vhost}", "configure": "{configure}",
            "write": "{write}", "read": "{read}"}}"#
    )
}

/// Starts a broker that has all of them.
pub(crate) fn broker() -> BrokerUnderTest {
    let directory = TempDir::with_prefix("leveret-test-").expect("a temporary directory");
    let file = directory.path().join("definitions.json");
    std::fs::write(&file, definitions()).expect("a writable file");
    BrokerUnderTest::start_with(&format!("load_definitions = {}\n", file.display()))
}

/// The definitions of all of them, and of the broker's own user and vhost.
fn definitions() -> String {
    let guest = r#"{"name": "guest", "password": "guest", "tags": "administrator"}"#.to_owned();
    let users = ALL.iter().map(User::definition).chain([guest]);
    let vhosts = VHOSTS.iter().map(Vhost::definition).chain([r#"{"name": "/"}"#.to_owned()]);
    let all = |vhost| permission("guest", vhost, [".*"; 3]);
    let of_guest = VHOSTS.iter().map(|vhost| vhost.name).chain(["/"]).map(all);
    let permissions = ALL.iter().filter_map(User::permission).chain(of_guest);
    let topics = ALL.iter().filter_map(User::topic_permission);
    format!(
        r#"{{"users": [{}], "vhosts": [{}], "permissions": [{}], "topic_permissions": [{}]}}"#,
        listed(users),
        listed(vhosts),
        listed(permissions),
        listed(topics)
    )
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// At a peer all of them are made before the first is needed.
fn make() {
    static MADE: Once = Once::new();
    if Broker::peer().is_some() {
        MADE.call_once(|| {
            forget_at_peer();
            ALL.iter().for_each(User::make_at_peer);
            VHOSTS.iter().for_each(Vhost::make_at_peer);
        });
    }
}

/// Deletes those that there are.
pub(crate) fn forget_at_peer() {
    for user in &ALL {
        control(&["delete_user", user.name]).ok();
    }
    for vhost in &VHOSTS {
        control(&["delete_vhost", vhost.name]).ok();
    }
}

/// Whether there is a command that makes users at a peer.
pub(crate) fn has_control() -> bool {
    std::env::var_os("LEVERET_CTL").is_some()
}

/// Runs the peer's control command; its name and first arguments are in `LEVERET_CTL`.
///
/// # Errors
/// What the command printed when it failed.
pub(crate) fn control(arguments: &[&str]) -> Result<(), String> {
    let command = std::env::var("LEVERET_CTL").expect("rows that need it are skipped without");
    let mut words = command.split_whitespace();
    let mut command = Command::new(words.next().expect("LEVERET_CTL names a command"));
    let output = run(command.args(words).args(arguments));
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(printed) }
}
