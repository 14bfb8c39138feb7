//! Addresses of HTTP servers, as settings name them.

use std::fmt;

use hyper::Uri;

/// Where something is asked: an `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    uri: Uri,
    host: String,
    port: u16,
    with_tls: bool,
}

impl Url {
    /// Reads a URL.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let with_tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if with_tls { 443 } else { 80 });
        (!host.is_empty()).then_some(Self { uri, host, port, with_tls })
    }

    /// Whether it is asked over TLS.
    pub(crate) fn with_tls(&self) -> bool {
        self.with_tls
    }

    /// Whether nobody on the way can listen, or answer in its place.
    pub(crate) fn is_secure(&self) -> bool {
        self.with_tls || self.is_of_this_machine()
    }

    /// Whether what is asked there does not leave this machine.
    pub(crate) fn is_of_this_machine(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The host's name or address.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port, by default that of the scheme.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL with this behind its path.
    pub(crate) fn join(&self, path: &str) -> Option<Self> {
        let base = self.to_string();
        Self::parse(&format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/')))
    }

    /// The URL with more behind its query.
    pub(crate) fn with_query(&self, more: &str) -> String {
        let separator = if self.uri.query().is_some() { '&' } else { '?' };
        format!("{self}{separator}{more}")
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What is asked for: the path, and the query with more behind it.
    pub(crate) fn target(&self, more: &str) -> String {
        let path = self.uri.path();
        match (self.uri.query(), more) {
            (None, "") => path.to_owned(),
            (None, more) => format!("{path}?{more}"),
            (Some(query), "") => format!("{path}?{query}"),
            (Some(query), more) => format!("{path}?{query}&{more}"),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_scheme_and_a_host() {
        let shown = |text: &str| Url::parse(text).map(|url| (url.authority(), url.with_tls));
        assert_eq!(shown("http://a/b"), Some(("a:80".to_owned(), false)));
        assert_eq!(shown("https://a"), Some(("a:443".to_owned(), true)));
        assert_eq!(shown("http://[::1]:8000/x?y=z"), Some(("::1:8000".to_owned(), false)));
        for wrong in ["", "a", "/a/b", "ftp://a/", "http://", "http:// /", "localhost:80"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn paths_are_joined() {
        let joined = |base: &str, path: &str| {
            Url::parse(base).and_then(|url| url.join(path)).map(|url| url.to_string())
        };
        assert_eq!(joined("https://a/realm/", "/x").as_deref(), Some("https://a/realm/x"));
        assert_eq!(
            joined("https://a", ".well-known/x").as_deref(),
            Some("https://a/.well-known/x")
        );
        assert_eq!(joined("https://a", "a b"), None);
    }

    #[test]
    fn this_machine_is_known() {
        let here = |text: &str| Url::parse(text).is_some_and(|url| url.is_of_this_machine());
        assert!(here("http://localhost/") && here("http://127.0.0.1:8/") && here("http://[::1]/"));
        assert!(!here("http://192.0.2.1/") && !here("http://localhost.example.com/"));
    }

    #[test]
    fn queries_are_joined() {
        let target = |text: &str, more| Url::parse(text).map(|url| url.target(more));
        assert_eq!(target("http://a/b", "c=d").as_deref(), Some("/b?c=d"));
        assert_eq!(target("http://a/b?x", "c=d").as_deref(), Some("/b?x&c=d"));
        assert_eq!(target("http://a/b?x", "").as_deref(), Some("/b?x"));
        assert_eq!(target("http://a", "").as_deref(), Some("/"));
    }
}
