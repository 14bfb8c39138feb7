//! Every key there is: name, type, default, meaning. Defaults, validation, the
//! refusal of unknown keys and `config/leveret.conf` all come from this table.
//!
//! Names and meanings are RabbitMQ's where RabbitMQ has the key
//! (<https://www.rabbitmq.com/docs/configure>). A segment in angle brackets
//! stands for any name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use leveret_storage::messages::{Engine, FsyncPolicy};

use super::types::{
    ADDRESS, BACKLOG, BOOLEAN, CHANNELS, COUNT, DIRECTORY, ENGINE, FRAME_MAX, FSYNC_POLICY,
    HASHING, IMPORT_BACKEND, INITIAL_FRAME_MAX, LIMIT, LISTENER, LOG_FILTER, MECHANISM,
    MESSAGE_SIZE, MILLISECONDS, MINUTES, MULTIPLE, Mechanism, NAME, NAMES, NONE, PATTERN, PORT,
    PORT_OR_NONE, RATIO, SECONDS, SIZE, TEXT, Type,
};
use super::types_auth::{
    BACKEND, HTTP_METHOD, HttpMethod, NamedBackend, SCOPE_SYNTAX, SECURE_URL, SIGNATURE,
    ScopeSyntax, URL,
};
use super::types_log::{
    LOG_FORMAT, LOG_LEVEL, LOG_PATH, LogFormat, STDIO, TIME_FORMAT, TimeFormat,
};
use super::types_tls::{
    CHAIN_DEPTH, CIPHER, CRL_CHECK, CRL_SOURCE, CrlCheck, LOGIN_FROM, LoginFrom, SAN_INDEX,
    SAN_TYPE, SanType, TLS_VERSION, TlsVersion, VERIFY,
};

use crate::password::HashingAlgorithm;
use crate::url::Url;

/// What applies when nobody sets the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preset {
    /// This value.
    Default(&'static str),
    /// Nothing; the value shows how one is written.
    Example(&'static str),
}

/// A key whose values have type `T`.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    pub(super) kind: &'static Type<T>,
    pub(super) preset: Preset,
}

/// A row of the table, whatever its type.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) preset: Preset,
    /// Completes "expected ...".
    pub(super) kind: &'static str,
    /// The meaning, line by line.
    pub(super) doc: &'static [&'static str],
    pub(super) is_valid: fn(&str) -> bool,
}

impl Row {
    /// Whether a key with those segments belongs to this row.
    pub(super) fn matches(&self, path: &[String]) -> bool {
        let mut segments = path.iter();
        self.name.split('.').all(|pattern| {
            segments.next().is_some_and(|segment| is_wildcard(pattern) || pattern == segment)
        }) && segments.next().is_none()
    }

    /// The row of a key with those segments: a literal name goes before a free one that would match as well.
    pub(super) fn of(path: &[String]) -> Option<&'static Self> {
        TABLE.iter().filter(|row| row.matches(path)).min_by_key(|row| !row.is_literal())
    }

    /// What applies where nobody sets it, if something does.
    pub(super) const fn default(&self) -> Option<&'static str> {
        match self.preset {
            Preset::Default(value) => Some(value),
            Preset::Example(_) => None,
        }
    }

    /// The meaning in one line.
    pub(super) fn meaning(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// Whether the name has no free part.
    pub(super) fn is_literal(&self) -> bool {
        !self.name.split('.').any(is_wildcard)
    }
}

/// Whether a segment of a name stands for any.
pub(super) fn is_wildcard(pattern: &str) -> bool {
    pattern.starts_with('<')
}

/// What applies where nobody sets this key, if there is a key of that name and something applies.
pub(super) fn default_of(name: &str) -> Option<&'static str> {
    TABLE.iter().find(|row| row.name == name).and_then(Row::default)
}

/// Other names that RabbitMQ has for a key.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("connection_max", "max_connections"),
    ("management.listener.ip", "management.tcp.ip"),
    ("management.listener.port", "management.tcp.port"),
    ("management.load_definitions", "load_definitions"),
    ("max_channels_per_connection", "channel_max"),
];

macro_rules! keys {
    ($( $(#[doc = $doc:literal])+
        $key:ident: $type:ty = $name:literal, $kind:ident, $preset:ident($value:literal); )+) => {
        $( $(#[doc = $doc])+
           pub(super) const $key: Key<$type> =
               Key { name: $name, kind: &$kind, preset: Preset::$preset($value) }; )+

        /// All keys, in the order of the documentation.
        pub(super) const TABLE: &[Row] = &[
            $( Row {
                name: $name,
                preset: Preset::$preset($value),
                kind: $kind.name,
                doc: &[$($doc),+],
                is_valid: |text| ($kind.parse)(text).is_some(),
            } ),+
        ];
    };
}

keys! {
    /// Where AMQP connections are accepted: a port on every address, or address:port.
    /// 'none' turns it off.
    TCP_DEFAULT: Option<SocketAddr> = "listeners.tcp.default", LISTENER, Default("5672");
    /// Further listeners, each under a name of your choice. If there is one, the
    /// default listener must be named too if it is wanted.
    TCP_NAMED: Option<SocketAddr> = "listeners.tcp.<name>", LISTENER, Example("127.0.0.1:5673");
    /// Turns off every AMQP listener.
    TCP_NONE: () = "listeners.tcp", NONE, Example("none");
    /// Where AMQP connections with TLS are accepted, usually 5671. Nowhere if it is not set.
    SSL_DEFAULT: Option<SocketAddr> = "listeners.ssl.default", LISTENER, Example("5671");
    /// Further listeners with TLS, each under a name of your choice.
    SSL_NAMED: Option<SocketAddr> = "listeners.ssl.<name>", LISTENER, Example("127.0.0.1:5674");
    /// Turns off every AMQP listener with TLS.
    SSL_NONE: () = "listeners.ssl", NONE, Example("none");
    /// The certificates, in PEM, of the authorities that clients' certificates must come from;
    /// those between ours and its root belong here or into certfile.
    TLS_CACERTFILE: PathBuf =
        "ssl_options.cacertfile", DIRECTORY, Example("/etc/leveret/ca_certificate.pem");
    /// The broker's certificate in PEM, followed by those between it and the authority's.
    /// Files are read again when they change, and at SIGHUP; open connections stay.
    TLS_CERTFILE: PathBuf =
        "ssl_options.certfile", DIRECTORY, Example("/etc/leveret/server_certificate.pem");
    /// Its private key in PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    TLS_KEYFILE: PathBuf =
        "ssl_options.keyfile", DIRECTORY, Example("/etc/leveret/server_key.pem");
    /// The password of an encrypted key, which is refused with the command that decrypts it.
    TLS_PASSWORD: String = "ssl_options.password", TEXT, Example("secret");
    /// verify_peer: clients are asked for a certificate, which must come from an authority of
    /// cacertfile. verify_none: they are not asked.
    TLS_VERIFY: bool = "ssl_options.verify", VERIFY, Default("verify_none");
    /// Whether a client without a certificate is refused, with verify_peer.
    TLS_FAIL_IF_NO_PEER_CERT: bool =
        "ssl_options.fail_if_no_peer_cert", BOOLEAN, Default("false");
    /// How many certificates there may be between a client's and its authority's.
    TLS_DEPTH: usize = "ssl_options.depth", CHAIN_DEPTH, Default("10");
    /// The versions of TLS that are spoken: tlsv1.3 and tlsv1.2, both if none is listed.
    TLS_VERSIONS: TlsVersion = "ssl_options.versions.<n>", TLS_VERSION, Example("tlsv1.3");
    /// The cipher suites that may be used, by the names of OpenSSL or IANA. All that are good if
    /// none is listed.
    TLS_CIPHERS: String =
        "ssl_options.ciphers.<n>", CIPHER, Example("ECDHE-RSA-AES256-GCM-SHA384");
    /// Whether the broker's order of suites counts, and not the client's.
    TLS_HONOR_CIPHER_ORDER: bool =
        "ssl_options.honor_cipher_order", BOOLEAN, Default("false");
    /// Whether clients' certificates may have been revoked: true asks for the whole chain, peer
    /// for the client's alone, best_effort lets pass what no list speaks of.
    TLS_CRL_CHECK: CrlCheck = "ssl_options.crl_check", CRL_CHECK, Default("false");
    /// Where revocation lists are: in files of a directory.
    TLS_CRL_SOURCE: () = "ssl_options.crl_sources.<n>", CRL_SOURCE, Example("dir");
    /// That directory. Its files are lists in PEM or DER.
    TLS_CRL_PATH: PathBuf =
        "ssl_options.crl_sources.<n>.path", DIRECTORY, Example("/etc/leveret/crls");
    /// A client must have finished its TLS handshake within this time, in milliseconds.
    TLS_HANDSHAKE_TIMEOUT: Duration = "ssl_handshake_timeout", MILLISECONDS, Default("5000");
    /// What of its certificate is the user's name of a client that logs in with EXTERNAL.
    TLS_LOGIN_FROM: LoginFrom =
        "ssl_cert_login_from", LOGIN_FROM, Default("distinguished_name");
    /// Which kind of alternative name, with subject_alternative_name.
    TLS_LOGIN_SAN_TYPE: SanType = "ssl_cert_login_san_type", SAN_TYPE, Default("dns");
    /// Which of the alternative names of that kind, counted from 0.
    TLS_LOGIN_SAN_INDEX: usize = "ssl_cert_login_san_index", SAN_INDEX, Default("0");
    /// Whether every connection begins with a header of the PROXY protocol, version 1 or 2, that
    /// names the client in the proxy's place. One without is refused.
    PROXY_PROTOCOL: bool = "proxy_protocol", BOOLEAN, Default("false");
    /// How many connections may wait to be accepted.
    TCP_BACKLOG: u16 = "tcp_listen_options.backlog", BACKLOG, Default("128");
    /// Send small segments at once (TCP_NODELAY).
    TCP_NODELAY: bool = "tcp_listen_options.nodelay", BOOLEAN, Default("true");
    /// How long a client may take nothing of what it is sent, in milliseconds, before its connection
    /// is closed. One that reads little now and then keeps it. For ever if it is not set.
    TCP_SEND_TIMEOUT: Duration =
        "tcp_listen_options.send_timeout", MILLISECONDS, Example("15000");
    /// How many connections may be between their first byte and their opening, and at most a quarter
    /// of the descriptors there are. When there are more, those that take longer than a second go:
    /// the oldest of whoever has most.
    HANDSHAKE_MAX: Option<usize> = "handshake_max", LIMIT, Default("8192");
    /// The same for one address, or network of 64 bits with IPv6, for brokers to which clients come
    /// directly: with a proxy or a translation of addresses in between all may have one.
    HANDSHAKE_MAX_PER_ADDRESS: Option<usize> =
        "handshake_max_per_address", LIMIT, Default("infinity");
    /// A client must have opened its connection within this time, in milliseconds.
    HANDSHAKE_TIMEOUT: Duration = "handshake_timeout", MILLISECONDS, Default("10000");
    /// The heartbeat interval suggested to clients, in seconds. 0 suggests none.
    HEARTBEAT: u16 = "heartbeat", SECONDS, Default("60");
    /// The largest frame a client may negotiate, in bytes.
    FRAME_MAX_SIZE: u32 = "frame_max", FRAME_MAX, Default("131072");
    /// The largest frame accepted before frame_max is negotiated, in bytes.
    INITIAL_FRAME_SIZE: u32 = "initial_frame_max", INITIAL_FRAME_MAX, Default("8192");
    /// How many channels a connection may have.
    CHANNEL_MAX: u16 = "channel_max", CHANNELS, Default("2047");
    /// How many connections the broker accepts.
    MAX_CONNECTIONS: Option<usize> = "max_connections", LIMIT, Default("infinity");
    /// How many connections each listener has at most; others wait until one ends.
    LISTENER_CONNECTIONS: Option<usize> = "ranch_connection_max", LIMIT, Default("infinity");
    /// How many channels there may be on all connections together.
    CHANNEL_MAX_PER_NODE: Option<usize> = "channel_max_per_node", LIMIT, Default("infinity");
    /// How many consumers a channel may have.
    CONSUMER_MAX_PER_CHANNEL: Option<usize> =
        "consumer_max_per_channel", LIMIT, Default("infinity");
    /// How many deliveries of a channel may be unsettled: its consumers get no more before, and
    /// basic.get closes the channel.
    UNACKED_MAX_PER_CHANNEL: Option<usize> =
        "unacked_max_per_channel", LIMIT, Default("infinity");
    /// How long a consumer may take to acknowledge a delivery, in milliseconds, on queues that do not
    /// say so themselves. Then it is cancelled, and what it holds goes back to the queue. For ever
    /// if it is not set.
    CONSUMER_TIMEOUT: Duration = "consumer_timeout", MILLISECONDS, Example("1800000");
    /// The largest message body, in bytes.
    MAX_MESSAGE_SIZE: usize = "max_message_size", MESSAGE_SIZE, Default("134217728");
    /// How many vhosts there may be.
    VHOST_MAX: Option<usize> = "vhost_max", LIMIT, Default("infinity");
    /// Which vhosts are limited like this when they are made: a regular expression. Of several the
    /// first by id counts, and every vhost matches where it is not set.
    VHOST_LIMITS_PATTERN: String =
        "default_limits.vhosts.<id>.pattern", PATTERN, Example("^tenant-");
    /// How many connections they may have.
    VHOST_LIMITS_CONNECTIONS: Option<usize> =
        "default_limits.vhosts.<id>.max_connections", LIMIT, Example("1000");
    /// How many queues they may have.
    VHOST_LIMITS_QUEUES: Option<usize> =
        "default_limits.vhosts.<id>.max_queues", LIMIT, Example("500");
    /// How many queues there may be in all vhosts together.
    CLUSTER_QUEUE_LIMIT: Option<usize> = "cluster_queue_limit", LIMIT, Default("infinity");
    /// How many exchanges there may be in all vhosts together.
    CLUSTER_EXCHANGE_LIMIT: Option<usize> = "cluster_exchange_limit", LIMIT, Default("infinity");
    /// The SASL mechanisms offered to clients, numbered in order of preference:
    /// PLAIN, AMQPLAIN, EXTERNAL. The first two are offered if none is listed. EXTERNAL is
    /// the client's certificate, and offered with TLS alone.
    AUTH_MECHANISM: Mechanism = "auth_mechanisms.<n>", MECHANISM, Example("PLAIN");
    /// Who is asked about users, numbered in order: internal (the users and permissions of this
    /// broker, alone if none is listed), http (a service of yours, see auth_http), oauth2 (the token
    /// that a client has for its password, see auth_oauth2), cache (whatever
    /// auth_cache.cached_backend says, whose answers connections share). The first that knows a
    /// user lets it in and says what it may do.
    AUTH_BACKEND: NamedBackend = "auth_backends.<n>", BACKEND, Example("internal");
    /// Who says at this place of the order who a user is.
    AUTH_BACKEND_AUTHN: NamedBackend = "auth_backends.<n>.authn", BACKEND, Example("http");
    /// Who says what the user may do that the one above let in.
    AUTH_BACKEND_AUTHZ: NamedBackend = "auth_backends.<n>.authz", BACKEND, Example("internal");
    /// Whether the service is asked by get, with passwords in the URL, or by post.
    AUTH_HTTP_METHOD: HttpMethod = "auth_http.http_method", HTTP_METHOD, Default("get");
    /// Where the service is asked who may log in. It answers with allow, and tags behind it, or deny.
    AUTH_HTTP_USER: Url = "auth_http.user_path", URL, Default("http://localhost:8000/auth/user");
    /// Where it is asked who may enter a vhost.
    AUTH_HTTP_VHOST: Url = "auth_http.vhost_path", URL, Default("http://localhost:8000/auth/vhost");
    /// Where it is asked who may do what with exchanges and queues.
    AUTH_HTTP_RESOURCE: Url =
        "auth_http.resource_path", URL, Default("http://localhost:8000/auth/resource");
    /// Where it is asked who may use which routing keys with topic exchanges.
    AUTH_HTTP_TOPIC: Url = "auth_http.topic_path", URL, Default("http://localhost:8000/auth/topic");
    /// The service must have answered within this time, in milliseconds, or the user is refused.
    AUTH_HTTP_REQUEST_TIMEOUT: Duration =
        "auth_http.request_timeout", MILLISECONDS, Default("5000");
    /// The service must be reached within this time, in milliseconds.
    AUTH_HTTP_CONNECTION_TIMEOUT: Duration =
        "auth_http.connection_timeout", MILLISECONDS, Default("5000");
    /// Whether clients are told why the service denies them something.
    AUTH_HTTP_DISCLOSURE: bool =
        "auth_http.authorization_failure_disclosure", BOOLEAN, Default("false");
    /// The authorities, in PEM, that a service with https must have its certificate from. Those
    /// that the system trusts if it is not set.
    AUTH_HTTP_CACERTFILE: PathBuf =
        "auth_http.ssl_options.cacertfile", DIRECTORY, Example("/etc/leveret/ca_certificate.pem");
    /// What tokens call this broker: it has to be in their audience (aud), and scopes begin with it
    /// and a dot.
    OAUTH2_ID: String = "auth_oauth2.resource_server_id", TEXT, Example("rabbitmq");
    /// What scopes for this broker begin with, if it is something else. May be empty.
    OAUTH2_PREFIX: String = "auth_oauth2.scope_prefix", TEXT, Example("rabbitmq.");
    /// Further claims of a token that hold scopes, separated by spaces. A dot leads into a claim.
    OAUTH2_ADDITIONAL: String =
        "auth_oauth2.additional_scopes_key", TEXT, Example("realm_access.roles");
    /// A scope that means others, which are separated by spaces.
    OAUTH2_ALIAS: String =
        "auth_oauth2.scope_aliases.<alias>", TEXT, Example("rabbitmq.read:*/* rabbitmq.write:*/*");
    /// The same for scopes whose names have dots: the scope, under a number.
    OAUTH2_ALIAS_NAME: String = "auth_oauth2.scope_aliases.<n>.alias", TEXT, Example("api://read");
    /// And what it means.
    OAUTH2_ALIAS_SCOPE: String =
        "auth_oauth2.scope_aliases.<n>.scope", TEXT, Example("rabbitmq.read:*/*");
    /// How patterns in scopes are read.
    OAUTH2_SYNTAX: ScopeSyntax =
        "auth_oauth2.scope_pattern_syntax", SCOPE_SYNTAX, Default("wildcard");
    /// Whether tokens have to be for this broker.
    OAUTH2_VERIFY_AUD: bool = "auth_oauth2.verify_aud", BOOLEAN, Default("true");
    /// Whether tokens have to have an end.
    OAUTH2_REQUIRE_EXP: bool = "auth_oauth2.require_exp", BOOLEAN, Default("true");
    /// The claims that name the user, numbered in order: sub and client_id if none is listed.
    OAUTH2_USERNAME: String =
        "auth_oauth2.preferred_username_claims.<n>", NAME, Example("user_name");
    /// The key of tokens that name none.
    OAUTH2_DEFAULT_KEY: String = "auth_oauth2.default_key", NAME, Example("key-1");
    /// A public key that signs tokens, in PEM, under the id that tokens name.
    OAUTH2_SIGNING_KEY: PathBuf =
        "auth_oauth2.signing_keys.<id>", DIRECTORY, Example("/etc/leveret/key-1.pem");
    /// Where there are more keys, as a set in JSON. Read when a token names a key that is not known,
    /// every ten seconds at most.
    OAUTH2_JWKS_URI: Url =
        "auth_oauth2.jwks_uri", SECURE_URL, Example("https://issuer.example.com/keys");
    /// The same in older words.
    OAUTH2_JWKS_URL: Url =
        "auth_oauth2.jwks_url", SECURE_URL, Example("https://issuer.example.com/keys");
    /// Who makes the tokens, and says where the keys are (OpenID Connect Discovery).
    OAUTH2_ISSUER: Url =
        "auth_oauth2.issuer", SECURE_URL, Example("https://issuer.example.com/realms/main");
    /// Where the issuer says it, behind its own URL.
    OAUTH2_DISCOVERY_PATH: String = "auth_oauth2.discovery_endpoint_path", NAME,
        Default(".well-known/openid-configuration");
    /// With which parameters it is asked.
    OAUTH2_DISCOVERY_PARAMETER: String =
        "auth_oauth2.discovery_endpoint_params.<name>", TEXT, Example("value");
    /// The algorithms that tokens may be signed with. All that are known if none is listed.
    OAUTH2_ALGORITHM: String = "auth_oauth2.algorithms.<n>", SIGNATURE, Example("RS256");
    /// The authorities, in PEM, that issuers must have their certificates from. Those that the
    /// system trusts if it is not set.
    OAUTH2_CACERTFILE: PathBuf =
        "auth_oauth2.https.cacertfile", DIRECTORY, Example("/etc/leveret/ca_certificate.pem");
    /// What stands behind cache: internal, if it is not set.
    AUTH_CACHED_BACKEND: NamedBackend = "auth_cache.cached_backend", BACKEND, Example("http");
    /// Who says who a user is, behind cache.
    AUTH_CACHED_AUTHN: NamedBackend = "auth_cache.cached_backend.authn", BACKEND, Example("http");
    /// Who says what it may do, behind cache.
    AUTH_CACHED_AUTHZ: NamedBackend = "auth_cache.cached_backend.authz", BACKEND, Example("http");
    /// How long an answer of the service is good, in milliseconds: for the connection that asked,
    /// and with cache for all. Then it is asked anew.
    AUTH_CACHE_TTL: Duration = "auth_cache.cache_ttl", MILLISECONDS, Default("15000");
    /// Whether cache remembers refusals, too.
    AUTH_CACHE_REFUSALS: bool = "auth_cache.cache_refusals", BOOLEAN, Default("false");
    /// How passwords that are set are hashed: rabbit_password_hashing_sha256, _sha512 or _md5, which
    /// RabbitMQ has, too, or argon2id, which takes 19 MiB and some hundredth of a second for each
    /// that is verified. Hashes that are there stay as they are.
    PASSWORD_HASHING: HashingAlgorithm =
        "password_hashing_module", HASHING, Default("rabbit_password_hashing_sha256");
    /// The user that is made when the broker starts on an empty data directory.
    DEFAULT_USER: String = "default_user", NAME, Default("guest");
    /// Its password.
    DEFAULT_PASS: String = "default_pass", TEXT, Default("guest");
    /// The vhost that is made when the broker starts on an empty data directory.
    DEFAULT_VHOST: String = "default_vhost", NAME, Default("/");
    /// What the default user may configure in the default vhost: a regular expression.
    DEFAULT_CONFIGURE: String = "default_permissions.configure", PATTERN, Default(".*");
    /// What it may write to.
    DEFAULT_WRITE: String = "default_permissions.write", PATTERN, Default(".*");
    /// What it may read from.
    DEFAULT_READ: String = "default_permissions.read", PATTERN, Default(".*");
    /// Whether the default user may administrate.
    DEFAULT_ADMINISTRATOR: bool = "default_user_tags.administrator", BOOLEAN, Default("true");
    /// Further tags of the default user.
    DEFAULT_TAG: bool = "default_user_tags.<tag>", BOOLEAN, Example("true");
    /// The password of a further user that is made with the first one. A user without
    /// one cannot log in. Of the first user itself, only the keys above count.
    USER_PASSWORD: String = "default_users.<name>.password", TEXT, Example("secret");
    /// The tags of a further user, separated by commas. None if it is not set.
    USER_TAGS: Vec<String> = "default_users.<name>.tags", NAMES, Example("monitoring, policymaker");
    /// Which vhosts a further user may enter: a regular expression that is matched
    /// against the vhosts there are when the user is made. Like its rights, '.*' if
    /// it is not set.
    USER_VHOST_PATTERN: String = "default_users.<name>.vhost_pattern", PATTERN, Example("^/$");
    /// What a further user may configure in these vhosts.
    USER_CONFIGURE: String = "default_users.<name>.configure", PATTERN, Example("^own-");
    /// What it may write to.
    USER_WRITE: String = "default_users.<name>.write", PATTERN, Example("^own-");
    /// What it may read from.
    USER_READ: String = "default_users.<name>.read", PATTERN, Example(".*");
    /// A file of definitions, or a directory of such files, to load at every start, in RabbitMQ's
    /// JSON format. Users, permissions and policies become as they are there; exchanges and
    /// queues that exist stay as they are. With it, the default user and vhost are not made.
    LOAD_DEFINITIONS: PathBuf = "load_definitions", DIRECTORY, Example("/etc/leveret/definitions.json");
    /// The same in newer words.
    DEFINITIONS_PATH: PathBuf =
        "definitions.local.path", DIRECTORY, Example("/etc/leveret/definitions");
    /// Where definitions come from: from files.
    DEFINITIONS_BACKEND: () =
        "definitions.import_backend", IMPORT_BACKEND, Example("local_filesystem");
    /// Whether definitions are loaded only when the files are not those that were loaded last.
    DEFINITIONS_SKIP: bool = "definitions.skip_if_unchanged", BOOLEAN, Default("false");
    /// Whether guest may log in from this machine only.
    LOOPBACK_GUEST: bool = "loopback_users.guest", BOOLEAN, Default("true");
    /// Further users who may log in from this machine only.
    LOOPBACK_USER: bool = "loopback_users.<user>", BOOLEAN, Example("true");
    /// Lets every user log in from anywhere.
    LOOPBACK_NONE: () = "loopback_users", NONE, Example("none");
    /// The name told to clients. Without one it is rabbit@ and the host's name.
    CLUSTER_NAME: String = "cluster_name", NAME, Example("rabbit@example");
    /// The product told to clients. Some clients do without what they need, or do not
    /// connect, when it is not RabbitMQ, whose behaviour they meet here. What they are told
    /// as platform and leveret_version does not change.
    PRODUCT: String = "server_properties.product", NAME, Default("RabbitMQ");
    /// The version told to clients: of the RabbitMQ that clients may take the broker for.
    PRODUCT_VERSION: String = "server_properties.version", NAME, Default("4.3.6");
    /// Publishers are blocked while the broker uses more than this share of memory.
    MEMORY_RELATIVE: f64 = "vm_memory_high_watermark.relative", RATIO, Default("0.6");
    /// The same as an amount. If it is set, the share does not count.
    MEMORY_ABSOLUTE: u64 = "vm_memory_high_watermark.absolute", SIZE, Example("2GiB");
    /// The memory there is, in place of what the system says: the machine's, or what control groups
    /// leave to the broker.
    MEMORY_TOTAL: u64 = "total_memory_available_override_value", SIZE, Example("4GiB");
    /// Publishers are blocked while the disk has less than this free.
    DISK_FREE_ABSOLUTE: u64 = "disk_free_limit.absolute", SIZE, Default("50MB");
    /// The same as a multiple of the memory there is. If it is set, the amount does
    /// not count.
    DISK_FREE_RELATIVE: f64 = "disk_free_limit.relative", MULTIPLE, Example("1.5");
    /// Where definitions and messages are kept.
    DATA_DIR: PathBuf = "data_dir", DIRECTORY, Default("data");
    /// What keeps persistent messages of durable queues: log, the broker's own message
    /// log, or sled, an embedded database. sled is slower, keeps in memory what it wrote
    /// since the start, ends the broker when the disk is full, and knows only fsync = group.
    MESSAGE_STORE: Engine = "message_store", ENGINE, Default("log");
    /// When a message counts as stored and is confirmed. group: after an fsync, which all
    /// that wait share; nothing confirmed is lost, not even by a power failure. interval:ms:
    /// once it is written, with an fsync every so many milliseconds; a power failure loses
    /// up to that much of what was confirmed. os: once it is written; a power failure loses
    /// what the operating system has not written out, some 30 seconds. The end of the
    /// process, kill -9 included, loses nothing confirmed with any of them.
    FSYNC: FsyncPolicy = "fsync", FSYNC_POLICY, Default("group");
    /// How much memory messages in queues may take in all. Beyond it, bodies are left to
    /// the disk and read back in time for their delivery.
    MESSAGE_MEMORY_TOTAL: u64 = "message_memory.total", SIZE, Default("1GiB");
    /// The same for a single queue.
    MESSAGE_MEMORY_QUEUE: u64 = "message_memory.queue", SIZE, Default("48MiB");
    /// How long a shutdown may take before the broker exits anyway, in milliseconds.
    SHUTDOWN_TIMEOUT: Duration = "shutdown_timeout", MILLISECONDS, Default("8000");
    /// The port at which Prometheus finds /metrics. Without one there are no metrics.
    PROMETHEUS_PORT: u16 = "prometheus.tcp.port", PORT, Example("15692");
    /// The address of that port. Every address if it is not set.
    PROMETHEUS_IP: IpAddr = "prometheus.tcp.ip", ADDRESS, Example("127.0.0.1");
    /// The path at which Prometheus finds them.
    PROMETHEUS_PATH: String = "prometheus.path", TEXT, Default("/metrics");
    /// Has them tell of every queue, connection and channel at that path, as /metrics/per-object does.
    PROMETHEUS_PER_OBJECT: bool =
        "prometheus.return_per_object_metrics", BOOLEAN, Default("false");
    /// The port of the management API, under /api. 'none' turns it off; the socket leveret.sock in the
    /// data directory, which is for this machine's command line, stays.
    MANAGEMENT_PORT: Option<u16> = "management.tcp.port", PORT_OR_NONE, Default("15672");
    /// The address of that port. Every address if it is not set.
    MANAGEMENT_IP: IpAddr = "management.tcp.ip", ADDRESS, Example("127.0.0.1");
    /// The port of the same with TLS, usually 15671. None if it is not set.
    MANAGEMENT_SSL_PORT: Option<u16> = "management.ssl.port", PORT_OR_NONE, Example("15671");
    /// The address of that port. Every address if it is not set.
    MANAGEMENT_SSL_IP: IpAddr = "management.ssl.ip", ADDRESS, Example("127.0.0.1");
    /// As ssl_options.cacertfile, which counts if this is not set; so it is with the others.
    MANAGEMENT_CACERTFILE: PathBuf =
        "management.ssl.cacertfile", DIRECTORY, Example("/etc/leveret/ca_certificate.pem");
    /// As ssl_options.certfile.
    MANAGEMENT_CERTFILE: PathBuf =
        "management.ssl.certfile", DIRECTORY, Example("/etc/leveret/server_certificate.pem");
    /// As ssl_options.keyfile.
    MANAGEMENT_KEYFILE: PathBuf =
        "management.ssl.keyfile", DIRECTORY, Example("/etc/leveret/server_key.pem");
    /// As ssl_options.verify.
    MANAGEMENT_VERIFY: bool = "management.ssl.verify", VERIFY, Example("verify_none");
    /// As ssl_options.fail_if_no_peer_cert.
    MANAGEMENT_FAIL_IF_NO_PEER_CERT: bool =
        "management.ssl.fail_if_no_peer_cert", BOOLEAN, Example("false");
    /// As ssl_options.depth.
    MANAGEMENT_DEPTH: usize = "management.ssl.depth", CHAIN_DEPTH, Example("10");
    /// As ssl_options.versions.
    MANAGEMENT_VERSIONS: TlsVersion =
        "management.ssl.versions.<n>", TLS_VERSION, Example("tlsv1.3");
    /// As ssl_options.ciphers.
    MANAGEMENT_CIPHERS: String =
        "management.ssl.ciphers.<n>", CIPHER, Example("ECDHE-RSA-AES256-GCM-SHA384");
    /// As ssl_options.honor_cipher_order.
    MANAGEMENT_HONOR_CIPHER_ORDER: bool =
        "management.ssl.honor_cipher_order", BOOLEAN, Example("false");
    /// What stands before /api in every path.
    MANAGEMENT_PATH_PREFIX: String = "management.path_prefix", TEXT, Example("/rabbit");
    /// How long whoever signed in at the page stays so without using it, in minutes.
    MANAGEMENT_SESSION_TIMEOUT: Duration =
        "management.login_session_timeout", MINUTES, Default("480");
    /// Whether the page signs in at a provider of OAuth 2, too, by a code that the broker exchanges
    /// for a token. auth_oauth2 says whose tokens are good, and management.oauth_client_id has to be set.
    MANAGEMENT_OAUTH: bool = "management.oauth_enabled", BOOLEAN, Default("false");
    /// What the provider calls the page. Where it sends browsers back to is
    /// /js/oidc-oauth/login-callback.html, as with RabbitMQ.
    MANAGEMENT_OAUTH_CLIENT: String = "management.oauth_client_id", TEXT, Example("leveret");
    /// What the broker shows the provider, if it wants that. No browser sees it.
    MANAGEMENT_OAUTH_SECRET: String = "management.oauth_client_secret", TEXT, Example("secret");
    /// The provider, if it is not auth_oauth2.issuer.
    MANAGEMENT_OAUTH_PROVIDER: Url = "management.oauth_provider_url", SECURE_URL,
        Example("https://issuer.example.com/realms/main");
    /// Where the provider says where its endpoints are, if not where OpenID Connect Discovery has it.
    MANAGEMENT_OAUTH_METADATA: Url = "management.oauth_metadata_url", SECURE_URL,
        Example("https://issuer.example.com/.well-known/openid-configuration");
    /// The scopes that the page asks for, separated by blanks.
    MANAGEMENT_OAUTH_SCOPES: String = "management.oauth_scopes", TEXT, Default("openid profile");
    /// Whether the page then asks for no name and password. The API takes them all the same.
    MANAGEMENT_OAUTH_ALONE: bool = "management.oauth_disable_basic_auth", BOOLEAN, Default("true");
    /// What is asked for beside it at the provider's page, such as audience or resource.
    MANAGEMENT_OAUTH_ASKED: String =
        "management.oauth_authorization_endpoint_params.<name>", TEXT, Example("value");
    /// The same when the code is exchanged.
    MANAGEMENT_OAUTH_EXCHANGED: String =
        "management.oauth_token_endpoint_params.<name>", TEXT, Example("value");
    /// The largest body of a request, in bytes. Files of definitions are the largest.
    MANAGEMENT_BODY_MAX: usize = "management.http.max_body_size", MESSAGE_SIZE, Default("20000000");
    /// Leaves out how much is going on, and has only what there is.
    MANAGEMENT_DISABLE_STATS: bool = "management.disable_stats", BOOLEAN, Default("false");
    /// With management.disable_stats, still tells how many messages queues have.
    MANAGEMENT_QUEUE_TOTALS: bool = "management.enable_queue_totals", BOOLEAN, Default("false");
    /// The same, as an older setting has it.
    DISABLE_METRICS_COLLECTOR: bool =
        "management_agent.disable_metrics_collector", BOOLEAN, Default("false");
    /// How often what goes on is sampled for rates and charts, in milliseconds.
    STATISTICS_INTERVAL: Duration = "collect_statistics_interval", MILLISECONDS, Default("5000");
    /// From which sites browsers may ask, with numbers for `<n>`; '*' is any.
    MANAGEMENT_CORS_ORIGIN: String =
        "management.cors.allow_origins.<n>", TEXT, Example("https://example.com");
    /// How long browsers may remember that, in seconds.
    MANAGEMENT_CORS_MAX_AGE: u16 = "management.cors.max_age", SECONDS, Default("1800");
    /// The header content-security-policy of every answer.
    MANAGEMENT_CSP: String =
        "management.csp.policy", TEXT, Default("script-src 'self'; object-src 'self'");
    /// The header strict-transport-security of every answer. None if it is not set.
    MANAGEMENT_HSTS: String =
        "management.hsts.policy", TEXT, Example("max-age=31536000; includeSubDomains");
    /// Whether to log to standard output.
    LOG_CONSOLE: bool = "log.console", BOOLEAN, Default("true");
    /// Whether the console is standard output or standard error. Read at the start alone.
    LOG_CONSOLE_STDIO: bool = "log.console.stdio", STDIO, Default("stdout");
    /// The least severe level that is logged to the console. log.default.level if it is not set.
    LOG_CONSOLE_LEVEL: String = "log.console.level", LOG_FILTER, Example("debug");
    /// Lines of text, or objects of JSON with time, level, msg, domain, and, where the line has a
    /// name that stays, event and what it is about.
    LOG_CONSOLE_FORMATTER: LogFormat =
        "log.console.formatter", LOG_FORMAT, Default("plaintext");
    /// How time is written, always in UTC.
    LOG_CONSOLE_TIME: TimeFormat =
        "log.console.formatter.time_format", TIME_FORMAT, Default("rfc3339_space");
    /// A file to log to. At SIGHUP it is opened anew, for those who move it away.
    LOG_FILE: Option<PathBuf> = "log.file", LOG_PATH, Default("false");
    /// The directory of that file, if its name is relative.
    LOG_DIR: PathBuf = "log.dir", DIRECTORY, Example("/var/log/leveret");
    /// The least severe level that is logged to the file. log.default.level if it is not set.
    LOG_FILE_LEVEL: String = "log.file.level", LOG_FILTER, Example("debug");
    /// As log.console.formatter.
    LOG_FILE_FORMATTER: LogFormat = "log.file.formatter", LOG_FORMAT, Default("plaintext");
    /// As log.console.formatter.time_format.
    LOG_FILE_TIME: TimeFormat =
        "log.file.formatter.time_format", TIME_FORMAT, Default("rfc3339_space");
    /// How large the file may become before it is set aside as FILE.0. 0 for ever.
    LOG_FILE_SIZE: u64 = "log.file.rotation.size", SIZE, Default("0");
    /// How many files that were set aside are kept.
    LOG_FILE_COUNT: usize = "log.file.rotation.count", COUNT, Default("5");
    /// The least severe level of all outputs and categories that have none of their own.
    LOG_DEFAULT_LEVEL: String = "log.default.level", LOG_LEVEL, Default("info");
    /// The level of lines about connections, in every output.
    LOG_CONNECTION_LEVEL: String = "log.connection.level", LOG_LEVEL, Example("warning");
    /// The level of lines about channels, and of methods that were refused.
    LOG_CHANNEL_LEVEL: String = "log.channel.level", LOG_LEVEL, Example("error");
    /// The level of lines about queues.
    LOG_QUEUE_LEVEL: String = "log.queue.level", LOG_LEVEL, Example("debug");
    /// The level of lines about users.
    LOG_USER_LEVEL: String = "log.user.level", LOG_LEVEL, Example("debug");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_preset_is_valid() {
        for row in TABLE {
            let (Preset::Default(value) | Preset::Example(value)) = row.preset;
            assert!((row.is_valid)(value), "{} = {value}", row.name);
        }
    }

    #[test]
    fn every_key_is_named_once_and_a_free_name_has_no_default() {
        let mut names = HashSet::new();
        for row in TABLE {
            assert!(names.insert(row.name), "{} twice", row.name);
            if !row.is_literal() {
                assert!(matches!(row.preset, Preset::Example(_)), "{}", row.name);
            }
        }
        for (alias, name) in ALIASES {
            assert!(names.contains(name) && !names.contains(alias), "{alias}");
        }
    }
}
