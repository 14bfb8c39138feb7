//! The users that some rows need beside the broker's own: defined in the configuration of a broker
//! that is started here, made at a peer by the command in `LEVERET_CTL`.

use std::process::Command;
use std::sync::Once;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::deadline::run;
use leveret_tests::raw_client::Handshake;

/// A user of vhost `/`, or of no vhost at all.
pub(crate) struct User {
    /// The name, which error texts repeat.
    pub(crate) name: &'static str,
    password: &'static str,
    rights: Option<Rights>,
}

struct Rights {
    configure: &'static str,
    write: &'static str,
    read: &'static str,
}

/// May configure names that contain `conf`, write those with `write`, read those with `read`.
pub(crate) const LIMITED: User = User {
    name: "conformance-limited",
    password: "limited",
    rights: Some(Rights { configure: "conf", write: "write", read: "read" }),
};

/// May log in, but enter no vhost.
pub(crate) const OUTSIDER: User =
    User { name: "conformance-outsider", password: "outsider", rights: None };

const ALL: [User; 2] = [LIMITED, OUTSIDER];

impl User {
    /// The handshake of this user in vhost `/`. At a peer all users are made before the first one.
    pub(crate) fn handshake(&self) -> Handshake {
        static MADE: Once = Once::new();
        if Broker::peer().is_some() {
            MADE.call_once(make_at_peer);
        }
        Handshake::plain(self.name, self.password)
    }

    /// Its password.
    pub(crate) fn password(&self) -> &'static str {
        self.password
    }

    fn config_lines(&self) -> String {
        let Self { name, password, rights } = self;
        let key = format!("default_users.{name}");
        let password = format!("{key}.password = {password}\n");
        let rights = match rights {
            Some(Rights { configure, write, read }) => format!(
                "{key}.configure = {configure}\n{key}.write = {write}\n{key}.read = {read}\n"
            ),
            None => format!("{key}.vhost_pattern = ^no-such-vhost$\n"),
        };
        password + &rights
    }
}

/// What the configuration of a broker says to have all users.
pub(crate) fn config_lines() -> String {
    ALL.iter().map(User::config_lines).collect()
}

fn make_at_peer() {
    forget_at_peer();
    for User { name, password, rights } in &ALL {
        control(&["add_user", name, password]).expect("the user can be made");
        if let Some(Rights { configure, write, read }) = rights {
            let rights = ["set_permissions", name, configure, write, read];
            control(&rights).expect("the user can be given rights");
        }
    }
}

/// Deletes the users that there are.
pub(crate) fn forget_at_peer() {
    for user in &ALL {
        control(&["delete_user", user.name]).ok();
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
