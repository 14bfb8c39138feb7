//! Which broker rabbitmqadmin asks, and as whom: options, the environment, a file of named nodes.
//!
//! A room of `admin`. The file is that of either program: sections with a node's name, `key = value`, values
//! with or without quotes. Stays true: what is typed goes before the file, the file before defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::ctl::client::{Client, Place, Trust};
use crate::ctl::failure::Failed;
use crate::url::Url;

/// What was typed, or stands in the environment or in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) path_prefix: Option<String>,
    pub(super) vhost: Option<String>,
    /// The vhost of what is declared, if it is another.
    pub(super) declare_vhost: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) with_tls: Option<bool>,
    pub(super) authorities: Option<PathBuf>,
    pub(super) is_insecure: bool,
    pub(super) timeout_seconds: Option<u64>,
}

impl Target {
    /// Takes from a file what is not said.
    pub(super) fn beside(self, file: &BTreeMap<String, String>) -> Self {
        let of = |names: &[&str]| names.iter().find_map(|name| file.get(*name)).cloned();
        let flag = |names: &[&str]| of(names).map(|value| value.eq_ignore_ascii_case("true"));
        Self {
            host: self.host.or_else(|| of(&["hostname", "host"])),
            port: self.port.or_else(|| of(&["port"])),
            path_prefix: self.path_prefix.or_else(|| of(&["path_prefix"])),
            vhost: self.vhost.or_else(|| of(&["vhost", "virtual_host"])),
            declare_vhost: self.declare_vhost.or_else(|| of(&["declare_vhost"])),
            username: self.username.or_else(|| of(&["username"])),
            password: self.password.or_else(|| of(&["password"])),
            with_tls: self.with_tls.or_else(|| flag(&["ssl", "tls", "use_tls"])),
            authorities: self.authorities.or_else(|| {
                of(&["ssl_ca_cert_file", "ca_certificate_bundle_path"]).map(PathBuf::from)
            }),
            is_insecure: self.is_insecure || flag(&["ssl_insecure", "insecure"]).unwrap_or(false),
            timeout_seconds: self.timeout_seconds,
        }
    }

    /// Takes host, port and login from a URI, which goes before all else.
    pub(super) fn with_uri(self, uri: &str) -> Self {
        let (scheme, rest) = uri.split_once("://").unwrap_or(("http", uri));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, authority),
        };
        let (username, password) = match login.map(|login| login.split_once(':')) {
            Some(Some((user, password))) => (Some(user.to_owned()), Some(password.to_owned())),
            Some(None) => (login.map(str::to_owned), None),
            None => (None, None),
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => {
                (host, Some(port.to_owned()))
            }
            Some(_) | None => (address, None),
        };
        let with_tls = (scheme == "https").then_some(true).or(self.with_tls);
        Self {
            host: Some(host.to_owned()),
            port: port.or(self.port),
            username: username.or(self.username),
            password: password.or(self.password),
            with_tls,
            ..self
        }
    }

    /// The host that is asked.
    pub(super) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("localhost")
    }

    /// Asks it, `patience` long unless it says.
    ///
    /// # Errors
    /// That is no host, or its authorities cannot be read.
    pub(super) fn client(&self, patience: Duration) -> Result<Client, Failed> {
        let scheme = if self.with_tls == Some(true) { "https" } else { "http" };
        let port = self.port.as_deref().unwrap_or("15672");
        let prefix = self.path_prefix.as_deref().unwrap_or_default().trim_matches('/');
        let url = format!("{scheme}://{}:{port}/{prefix}", self.host());
        let url = Url::parse(&url).ok_or_else(|| Failed::usage(format!("{url} is no URL")))?;
        let name = |value: &Option<String>| value.clone().unwrap_or_else(|| "guest".to_owned());
        let login = format!("{}:{}", name(&self.username), name(&self.password));
        let trust = match (&self.authorities, self.is_insecure) {
            (_, true) => Trust::Anybody,
            (Some(path), false) => Trust::Authorities(path.clone()),
            (None, false) => Trust::System,
        };
        let patience = self.timeout_seconds.map_or(patience, Duration::from_secs);
        Client::trusting(Place::Url(Box::new(url), login), patience, trust)
    }
}

/// The settings of a node in a file; `None` if the file has no such section.
pub(super) fn section(text: &str, node: &str) -> Option<BTreeMap<String, String>> {
    let mut found = None;
    let mut is_it = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_it = name.trim() == node;
            if is_it {
                found.get_or_insert_with(BTreeMap::new);
            }
            continue;
        }
        let pair = line.split_once(['=', ':']).filter(|_| is_it && !line.starts_with(['#', ';']));
        if let (Some((key, value)), Some(found)) = (pair, &mut found) {
            let value = value.split(" #").next().unwrap_or_default().trim();
            let value = value.trim_matches(['"', '\'']).to_owned();
            found.insert(key.trim().to_owned(), value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_both_programs_are_read() {
        let text = "# nodes\n[default]\nhostname = \"a\" # here\nport: 1\n[other]\nhostname=b\nssl = True\n";
        let default = section(text, "default").unwrap();
        assert_eq!((default["hostname"].as_str(), default["port"].as_str()), ("a", "1"));
        assert_eq!(section(text, "none"), None);
        let target = Target { port: Some("9".to_owned()), ..Target::default() };
        let target = target.beside(&section(text, "other").unwrap());
        assert_eq!((target.host(), target.port.as_deref()), ("b", Some("9")));
        assert_eq!(target.with_tls, Some(true));
    }

    #[test]
    fn a_uri_goes_before_all_else() {
        let said = Target { username: Some("x".to_owned()), ..Target::default() };
        let target = said.with_uri("https://u:p@host:8/path");
        assert_eq!((target.host(), target.port.as_deref()), ("host", Some("8")));
        assert_eq!(
            (target.username.as_deref(), target.password.as_deref()),
            (Some("u"), Some("p"))
        );
        assert_eq!(target.with_tls, Some(true));
        let bare = Target::default().with_uri("http://host");
        assert_eq!((bare.host(), &bare.port, &bare.username), ("host", &None, &None));
    }
}
