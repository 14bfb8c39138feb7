//! Keys of RabbitMQ that mean nothing here: a configuration that has them is
//! accepted, with one warning for each, so that it can be brought along as it is.

/// Each entry stands for the key and for everything below it.
const PREFIXES: &[&str] = &[
    "amqp10_client",
    "amqp1_0",
    "amqp_client",
    "anonymous_login_pass",
    "anonymous_login_user",
    "auth_cache.cache_module",
    "auth_http.ssl_options.cacerts",
    "auth_http.ssl_options.cert",
    "auth_http.ssl_options.certfile",
    "auth_http.ssl_options.ciphers",
    "auth_http.ssl_options.client_renegotiation",
    "auth_http.ssl_options.crl_check",
    "auth_http.ssl_options.depth",
    "auth_http.ssl_options.dh",
    "auth_http.ssl_options.dhfile",
    "auth_http.ssl_options.fail_if_no_peer_cert",
    "auth_http.ssl_options.honor_cipher_order",
    "auth_http.ssl_options.honor_ecc_order",
    "auth_http.ssl_options.hostname_verification",
    "auth_http.ssl_options.key",
    "auth_http.ssl_options.keyfile",
    "auth_http.ssl_options.log_level",
    "auth_http.ssl_options.password",
    "auth_http.ssl_options.psk_identity",
    "auth_http.ssl_options.reuse_sessions",
    "auth_http.ssl_options.secure_renegotiate",
    "auth_http.ssl_options.sni",
    "auth_http.ssl_options.verify",
    "auth_http.ssl_options.versions",
    "auth_ldap",
    "auth_oauth2.authorization_endpoint",
    "auth_oauth2.default_oauth_provider",
    "auth_oauth2.end_session_endpoint",
    "auth_oauth2.https.crl_check",
    "auth_oauth2.https.depth",
    "auth_oauth2.https.fail_if_no_peer_cert",
    "auth_oauth2.https.hostname_verification",
    "auth_oauth2.https.peer_verification",
    "auth_oauth2.https.verify",
    "auth_oauth2.oauth_providers",
    "auth_oauth2.resource_server_type",
    "auth_oauth2.resource_servers",
    "auth_oauth2.token_endpoint",
    "background_gc_enabled",
    "background_gc_target_interval",
    "channel_interceptor",
    "channel_operation_timeout",
    "classic_queue",
    "cluster_formation",
    "cluster_keepalive_interval",
    "cluster_partition_handling",
    "cluster_tags",
    "collect_statistics",
    "collect_statistics_interval",
    "consumer_disconnected_timeout",
    "credential_validator",
    "default_policies",
    "default_queue_type",
    "default_worker_pool_size",
    "definitions.hashing",
    "definitions.https",
    "definitions.tls",
    "delegate_count",
    "deprecated_features",
    "distribution",
    "erlang",
    "exchange_types",
    "hipe_compile",
    "link_max_per_session",
    "log.channel.file",
    "log.channel.rotation",
    "log.connection.file",
    "log.connection.rotation",
    "log.console.color_esc_seqs",
    "log.console.formatter.json",
    "log.console.formatter.level_format",
    "log.console.formatter.plaintext",
    "log.console.formatter.single_line",
    "log.console.use_colors",
    "log.default.rotation",
    "log.error_logger_format_depth",
    "log.exchange",
    "log.federation",
    "log.file.formatter.json",
    "log.file.formatter.level_format",
    "log.file.formatter.plaintext",
    "log.file.formatter.single_line",
    "log.file.rotation.compress",
    "log.file.rotation.date",
    "log.journald",
    "log.mirroring",
    "log.prelaunch",
    "log.queue.file",
    "log.queue.rotation",
    "log.ra",
    "log.summarize_process_state",
    "log.syslog",
    "log.upgrade",
    "log.user.file",
    "log.user.rotation",
    "management",
    "management_agent",
    "memory_monitor_interval",
    "message_interceptors",
    "message_store_shutdown_timeout",
    "metadata_store",
    "mirroring_sync_batch_size",
    "mirroring_sync_max_throughput",
    "mnesia_table_loading_retry_limit",
    "mnesia_table_loading_retry_timeout",
    "motd_file",
    "mqtt",
    "net_ticktime",
    "node_tags",
    "num_acceptors",
    "prevent_startup_if_node_was_reset",
    "product",
    "prometheus.authentication",
    "prometheus.filter_aggregated_queue_metrics_pattern",
    "prometheus.path",
    "prometheus.return_per_object_metrics",
    "prometheus.ssl",
    "prometheus.tcp.compress",
    "prometheus.tcp.idle_timeout",
    "prometheus.tcp.inactivity_timeout",
    "prometheus.tcp.listener",
    "prometheus.tcp.max_connections",
    "prometheus.tcp.max_keepalive",
    "prometheus.tcp.request_timeout",
    "prometheus.tcp.shutdown_timeout",
    "queue_index_embed_msgs_below",
    "queue_leader_locator",
    "queue_master_locator",
    "queue_types",
    "quorum_queue",
    "raft",
    "reverse_dns_lookups",
    "runtime_parameters",
    "session_max_per_connection",
    "shovel",
    "socket_writer",
    "ssl_allow_poodle_attack",
    "ssl_options.bypass_pem_cache",
    "ssl_options.client_renegotiation",
    "ssl_options.dh",
    "ssl_options.dhfile",
    "ssl_options.honor_ecc_order",
    "ssl_options.log_level",
    "ssl_options.psk_identity",
    "ssl_options.reuse_sessions",
    "ssl_options.secure_renegotiate",
    "stomp",
    "stream",
    "sysmon_handler",
    "tcp_listen_options.buffer",
    "tcp_listen_options.exit_on_close",
    "tcp_listen_options.keepalive",
    "tcp_listen_options.linger",
    "tcp_listen_options.recbuf",
    "tcp_listen_options.send_timeout_close",
    "tcp_listen_options.sndbuf",
    "trust_store",
    "vhost_restart_strategy",
    "vm_memory_calculation_strategy",
    "vm_memory_high_watermark_paging_ratio",
    "web_mqtt",
    "web_stomp",
];

/// What keys are about that have no meaning here, by what their names begin with: the first that fits
/// counts.
const REASONS: &[(&str, &str)] = &[
    ("amqp", "the protocol is not spoken here"),
    ("link_max_", "the protocol is not spoken here"),
    ("mqtt", "the protocol is not spoken here"),
    ("session_max_", "the protocol is not spoken here"),
    ("stomp", "the protocol is not spoken here"),
    ("stream", "the protocol is not spoken here"),
    ("web_", "the protocol is not spoken here"),
    ("cluster_", "it is about clusters"),
    ("metadata_store", "it is about clusters"),
    ("mirroring_", "it is about clusters"),
    ("mnesia_", "it is about clusters"),
    ("net_ticktime", "it is about clusters"),
    ("queue_leader_", "it is about clusters"),
    ("queue_master_", "it is about clusters"),
    ("quorum_queue", "it is about clusters"),
    ("raft", "it is about clusters"),
    ("distribution", "it is about the Erlang runtime"),
    ("erlang", "it is about the Erlang runtime"),
    ("background_gc_", "it is about the Erlang runtime"),
    ("delegate_count", "it is about the Erlang runtime"),
    ("hipe_compile", "it is about the Erlang runtime"),
    ("sysmon_", "it is about the Erlang runtime"),
    ("vm_memory_calculation_", "memory is counted in one way, as the process's resident memory"),
    ("vm_memory_high_watermark_paging", "message_memory.total says when bodies go to the disk"),
    ("auth_http.ssl_options.verify", "the service's certificate is always verified"),
    ("auth_http.ssl_options.", "the TLS library's own value is used, and no certificate is shown"),
    ("auth_oauth2.https.", "certificates of issuers are always verified"),
    ("auth_oauth2.oauth_providers", "there is one issuer: auth_oauth2.issuer, or jwks_uri"),
    ("auth_oauth2.resource_servers", "there is one: auth_oauth2.resource_server_id"),
    ("auth_oauth2.resource_server_type", "rich authorization requests are not read"),
    ("auth_oauth2.", "it is for management, or for several issuers"),
    ("log.", "the log goes to the console and to one file, in lines of text or JSON"),
    ("ssl_options.", "the TLS library has no such option, or has it always on"),
    ("tcp_listen_options.", "the system's own value is used"),
];

/// Why a key that RabbitMQ knows does nothing here; `None` if RabbitMQ does not know it either.
pub(super) fn why_inapplicable(path: &[String]) -> Option<&'static str> {
    let is_known = PREFIXES.iter().any(|prefix| {
        let mut segments = path.iter();
        prefix.split('.').all(|part| segments.next().is_some_and(|segment| segment == part))
    });
    let key = path.join(".");
    let reason = REASONS.iter().find(|(beginning, _)| key.starts_with(beginning));
    is_known.then(|| reason.map_or("there is nothing like it here", |(_, reason)| reason))
}

#[cfg(test)]
mod tests {
    use super::super::keys::TABLE;
    use super::super::syntax::split_key;
    use super::*;

    #[test]
    fn a_prefix_covers_whole_segments_only() {
        for (key, expected) in [
            ("net_ticktime", true),
            ("raft.wal_max_size_bytes", true),
            ("listeners.ssl.default", false),
            ("ssl_options.dhfile", true),
            ("ssl_options.keyfile", false),
            ("listeners.tcp.default", false),
            ("prometheus.tcp.max_connections", true),
            ("prometheus.tcp.port", false),
            ("rafts.x", false),
            ("management", true),
            ("log.console.formatter.json.field_map", true),
            ("log.console.formatter", false),
        ] {
            assert_eq!(why_inapplicable(&split_key(key).unwrap()).is_some(), expected, "{key}");
        }
    }

    #[test]
    fn no_key_of_ours_is_inapplicable() {
        for row in TABLE {
            assert_eq!(why_inapplicable(&split_key(row.name).unwrap()), None, "{}", row.name);
        }
    }

    #[test]
    fn every_reason_is_somebodys() {
        for (beginning, _) in REASONS {
            let has =
                |prefix: &&str| prefix.starts_with(beginning) || beginning.starts_with(*prefix);
            assert!(PREFIXES.iter().any(has), "{beginning}");
        }
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(PREFIXES.is_sorted(), "keep it so that it can be read");
    }
}
