//! Keys of RabbitMQ that mean nothing here: a configuration that has them is
//! accepted, with one warning for each, so that it can be brought along as it is.

/// Each entry stands for the key and for everything below it.
const PREFIXES: &[&str] = &[
    "amqp10_client",
    "amqp1_0",
    "amqp_client",
    "anonymous_login_pass",
    "anonymous_login_user",
    "auth_backends",
    "auth_cache",
    "auth_http",
    "auth_ldap",
    "auth_oauth2",
    "background_gc_enabled",
    "background_gc_target_interval",
    "channel_interceptor",
    "channel_max_per_node",
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
    "default_limits",
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
    "log.channel",
    "log.connection",
    "log.console.color_esc_seqs",
    "log.console.formatter",
    "log.console.stdio",
    "log.console.use_colors",
    "log.default",
    "log.dir",
    "log.error_logger_format_depth",
    "log.exchange",
    "log.federation",
    "log.file",
    "log.journald",
    "log.mirroring",
    "log.prelaunch",
    "log.queue",
    "log.ra",
    "log.summarize_process_state",
    "log.syslog",
    "log.upgrade",
    "log.user",
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
    "password_hashing_module",
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
    "ranch_connection_max",
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
    "tcp_listen_options.send_timeout",
    "tcp_listen_options.sndbuf",
    "total_memory_available_override_value",
    "trust_store",
    "vhost_restart_strategy",
    "vm_memory_calculation_strategy",
    "vm_memory_high_watermark_paging_ratio",
    "web_mqtt",
    "web_stomp",
];

/// Whether RabbitMQ knows the key and this broker does nothing with it.
pub(super) fn is_inapplicable(path: &[String]) -> bool {
    PREFIXES.iter().any(|prefix| {
        let mut segments = path.iter();
        prefix.split('.').all(|part| segments.next().is_some_and(|segment| segment == part))
    })
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
        ] {
            assert_eq!(is_inapplicable(&split_key(key).unwrap()), expected, "{key}");
        }
    }

    #[test]
    fn no_key_of_ours_is_inapplicable() {
        for row in TABLE {
            assert!(!is_inapplicable(&split_key(row.name).unwrap()), "{}", row.name);
        }
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(PREFIXES.is_sorted(), "keep it so that it can be read");
    }
}
