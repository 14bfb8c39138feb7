//! The types of `auth_*` settings: backends, and where they are.
//!
//! A part of `types`.

use super::types::Type;
use crate::url::Url;

/// A backend as a setting names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedBackend {
    Internal,
    Http,
    OAuth2,
    /// Whatever `auth_cache.cached_backend` says.
    Cache,
}

/// How a question is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// In the URL.
    Get,
    /// In the body.
    Post,
}

/// RabbitMQ takes the names of its modules as well.
pub(super) const BACKEND: Type<NamedBackend> = Type {
    name: "internal, http, oauth2 or cache",
    parse: |text| match text.trim_start_matches("rabbit_auth_backend_") {
        "internal" => Some(NamedBackend::Internal),
        "http" => Some(NamedBackend::Http),
        "oauth2" | "oauth" => Some(NamedBackend::OAuth2),
        "cache" => Some(NamedBackend::Cache),
        _ => None,
    },
};

pub(super) const HTTP_METHOD: Type<HttpMethod> = Type {
    name: "get or post",
    parse: |text| match text {
        "get" => Some(HttpMethod::Get),
        "post" => Some(HttpMethod::Post),
        _ => None,
    },
};

pub(super) const URL: Type<Url> =
    Type { name: "a URL that begins with http:// or https://", parse: Url::parse };

/// How patterns in scopes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeSyntax {
    /// An asterisk stands for anything.
    Wildcard,
    /// Regular expressions.
    Regex,
}

pub(super) const SCOPE_SYNTAX: Type<ScopeSyntax> = Type {
    name: "wildcard or regex",
    parse: |text| match text {
        "wildcard" => Some(ScopeSyntax::Wildcard),
        "regex" => Some(ScopeSyntax::Regex),
        _ => None,
    },
};

/// Whoever can change what comes from there can log in as anybody.
pub(super) const SECURE_URL: Type<Url> = Type {
    name: "a URL that begins with https://, or with http:// and names this machine",
    parse: |text| Url::parse(text).filter(Url::is_secure),
};

pub(super) const SIGNATURE: Type<String> = Type {
    name: "one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384, HS512",
    parse: |text| {
        let known = [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
            "HS256", "HS384", "HS512",
        ];
        known.contains(&text).then(|| text.to_owned())
    },
};
