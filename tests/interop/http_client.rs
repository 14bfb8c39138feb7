//! The Rust crate `rabbitmq_http_client`, which rabbitmqadmin is made of: what it writes and reads. Its types are
//! strict, so that a key that is missing or of another type fails the call.
//!
//! Left out is what has no counterpart here: streams, shovels, federation, and what RabbitMQ's sellers have. With
//! `LEVERET_PEER` and `LEVERET_PEER_HTTP` set, the same calls hold on RabbitMQ.

#![expect(clippy::result_large_err, reason = "errors are those of the crate")]

use leveret_tests::broker_under_test::Lent;
use leveret_tests::deadline::wait_until;
use leveret_tests::raw_client::method::basic;
use rabbitmq_http_client::blocking_api::{Client, Result};
use rabbitmq_http_client::commons::{
    BindingDestinationType, PaginationParams, PolicyTarget, QueueType, SupportedProtocol,
    UserLimitTarget, VirtualHostLimitTarget,
};
use rabbitmq_http_client::password_hashing::base64_encoded_salted_password_hash_sha256;
use rabbitmq_http_client::requests::{
    BindingDeletionParams, EnforcedLimitParams, ExchangeParams, GlobalRuntimeParameterDefinition,
    Permissions, PolicyDefinition, PolicyParams, QueueParams, RuntimeParameterDefinition,
    TopicPermissions, UserParams, VirtualHostParams,
};
use rabbitmq_http_client::responses::ReachabilityProbeOutcome;
use serde_json::{Map, Value, json};

type Api = Client<String, &'static str, &'static str>;
/// What is called, how many items it returns at least, and how.
type Read = (&'static str, usize, fn(&Api) -> Result<usize>);
/// What is called, and how.
type Write = (&'static str, fn(&Api) -> Result<()>);

const VHOST: &str = "http-client";
const USER: &str = "http-client-user";
const OTHER: &str = "http-client-other";

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn policy(name: &'static str) -> PolicyParams<'static> {
    let definition: PolicyDefinition = map(json!({"max-length": 1000}));
    PolicyParams::new(VHOST, name, "^(c|q)", definition).apply_to(PolicyTarget::Queues).priority(3)
}

fn binding(
    kind: BindingDestinationType,
    destination: &'static str,
) -> BindingDeletionParams<'static> {
    BindingDeletionParams {
        virtual_host: VHOST,
        source: "x1",
        destination,
        destination_type: kind,
        routing_key: "a.#",
        arguments: None,
    }
}

const MADE: &[Write] = &[
    ("create_vhost", |api| {
        api.create_vhost(&VirtualHostParams::named(VHOST).with_description("d"))
    }),
    ("update_vhost", |api| {
        let tags = VirtualHostParams::named(VHOST).with_tags(vec!["a", "b"]);
        api.update_vhost(&tags.with_default_queue_type(QueueType::Classic))
    }),
    ("grant_full_permissions", |api| api.grant_full_permissions("guest", VHOST)),
    ("create_user", |api| {
        let hash = base64_encoded_salted_password_hash_sha256(&[1, 2, 3, 4], "pw");
        api.create_user(&UserParams::monitoring(USER, &hash))?;
        api.create_user(&UserParams::without_tags(OTHER, &hash))
    }),
    ("declare_permissions", |api| api.declare_permissions(&Permissions::read_only(USER, VHOST))),
    ("declare_topic_permissions", |api| {
        let (user, vhost, exchange) = (USER, VHOST, "amq.topic");
        let write = "^a";
        api.declare_topic_permissions(&TopicPermissions {
            user,
            vhost,
            write,
            read: ".*",
            exchange,
        })
    }),
    ("set_user_limit", |api| {
        api.set_user_limit(USER, EnforcedLimitParams::new(UserLimitTarget::MaxConnections, 5))
    }),
    ("set_vhost_limit", |api| {
        let limit = EnforcedLimitParams::new(VirtualHostLimitTarget::MaxQueues, 50);
        api.set_vhost_limit(VHOST, limit)
    }),
    ("declare_exchange", |api| {
        api.declare_exchange(VHOST, &ExchangeParams::durable_topic("x1", None))?;
        api.declare_exchange(VHOST, &ExchangeParams::durable_fanout("x2", None))
    }),
    ("declare_queue", |api| {
        let arguments = Some(map(json!({"x-max-length": 100})));
        api.declare_queue(VHOST, &QueueParams::new_durable_classic_queue("c1", arguments))
    }),
    ("declare_classic_queue", |api| api.declare_classic_queue(VHOST, "c2")),
    ("declare_quorum_queue", |api| api.declare_quorum_queue(VHOST, "q1")),
    ("bind_queue", |api| api.bind_queue(VHOST, "c1", "x1", Some("a.#"), None)),
    ("bind_exchange", |api| api.bind_exchange(VHOST, "x2", "x1", Some("a.#"), None)),
    ("declare_policy", |api| api.declare_policy(&policy("p1"))),
    ("declare_policies", |api| api.declare_policies(vec![&policy("p2"), &policy("p3")])),
    ("declare_operator_policy", |api| api.declare_operator_policy(&policy("o1"))),
    ("declare_operator_policies", |api| {
        api.declare_operator_policies(vec![&policy("o2"), &policy("o3")])
    }),
    ("upsert_runtime_parameter", |api| {
        let value = map(json!({"max-queues": 60}));
        let (component, name) = ("vhost-limits", "limits");
        let parameter = RuntimeParameterDefinition { name, vhost: VHOST, component, value };
        api.upsert_runtime_parameter(&parameter)
    }),
    ("upsert_global_runtime_parameter", |api| {
        let value = map(json!({"a": 1}));
        let name = "http-client";
        api.upsert_global_runtime_parameter(&GlobalRuntimeParameterDefinition { name, value })
    }),
    ("set_cluster_tags", |api| api.set_cluster_tags(map(json!({"region": "r"})))),
    ("publish_message", |api| {
        let properties = map(json!({"delivery_mode": 2, "headers": {"h": 1}}));
        let routed = api.publish_message(VHOST, "x1", "a.b", "rabbit", properties)?;
        assert!(routed.routed);
        Ok(())
    }),
    ("enable_feature_flag", |api| api.enable_feature_flag("quorum_queue")),
    ("enable_all_stable_feature_flags", |api| api.enable_all_stable_feature_flags()),
    ("rebalance_queue_leaders", |api| api.rebalance_queue_leaders()),
];

/// Asked while a client consumes and publishes.
const READ: &[Read] = &[
    ("overview", 1, |api| api.overview().map(|_| 1)),
    ("server_version", 3, |api| api.server_version().map(|version| version.len())),
    ("probe_reachability", 1, |api| {
        let outcome = api.probe_reachability();
        Ok(usize::from(matches!(outcome, ReachabilityProbeOutcome::Reached(_))))
    }),
    ("get_cluster_name", 1, |api| api.get_cluster_name().map(|name| name.name.len())),
    ("get_cluster_tags", 1, |api| api.get_cluster_tags().map(|tags| tags.0.len())),
    ("list_nodes", 1, |api| api.list_nodes().map(|all| all.len())),
    ("get_node_info", 1, |api| api.get_node_info(&node(api)?).map(|_| 1)),
    ("get_node_memory_footprint", 1, |api| {
        api.get_node_memory_footprint(&node(api)?)
            .map(|memory| usize::from(memory.breakdown.is_some()))
    }),
    ("list_all_cluster_plugins", 1, |api| api.list_all_cluster_plugins().map(|all| all.len())),
    ("list_node_plugins", 1, |api| api.list_node_plugins(&node(api)?).map(|all| all.len())),
    ("auth_attempts_statistics", 1, |api| {
        api.auth_attempts_statistics(&node(api)?).map(|all| all.len())
    }),
    ("list_vhosts", 2, |api| api.list_vhosts().map(|all| all.len())),
    ("list_vhosts_paged", 1, |api| api.list_vhosts_paged(&page()).map(|all| all.len())),
    ("get_vhost", 1, |api| api.get_vhost(VHOST).map(|_| 1)),
    ("list_users", 3, |api| api.list_users().map(|all| all.len())),
    ("list_users_paged", 2, |api| api.list_users_paged(&page()).map(|all| all.len())),
    ("list_users_without_permissions", 1, |api| {
        api.list_users_without_permissions().map(|all| all.len())
    }),
    ("get_user", 1, |api| api.get_user(USER).map(|_| 1)),
    ("current_user", 1, |api| api.current_user().map(|_| 1)),
    ("list_permissions", 2, |api| api.list_permissions().map(|all| all.len())),
    ("list_permissions_in", 2, |api| api.list_permissions_in(VHOST).map(|all| all.len())),
    ("list_permissions_of", 1, |api| api.list_permissions_of(USER).map(|all| all.len())),
    ("get_permissions", 1, |api| api.get_permissions(VHOST, USER).map(|_| 1)),
    ("list_topic_permissions", 1, |api| api.list_topic_permissions().map(|all| all.len())),
    ("list_topic_permissions_in", 1, |api| {
        api.list_topic_permissions_in(VHOST).map(|all| all.len())
    }),
    ("list_topic_permissions_of", 1, |api| {
        api.list_topic_permissions_of(USER).map(|all| all.len())
    }),
    ("list_all_user_limits", 1, |api| api.list_all_user_limits().map(|all| all.len())),
    ("list_user_limits", 1, |api| api.list_user_limits(USER).map(|all| all.len())),
    ("list_all_vhost_limits", 1, |api| api.list_all_vhost_limits().map(|all| all.len())),
    ("list_vhost_limits", 1, |api| api.list_vhost_limits(VHOST).map(|all| all.len())),
    ("list_connections", 1, |api| api.list_connections().map(|all| all.len())),
    ("list_connections_paged", 1, |api| api.list_connections_paged(&page()).map(|all| all.len())),
    ("list_connections_in", 1, |api| api.list_connections_in(VHOST).map(|all| all.len())),
    ("get_connection_info", 1, |api| api.get_connection_info(&connection(api)?).map(|_| 1)),
    ("list_user_connections", 1, |api| api.list_user_connections("guest").map(|all| all.len())),
    ("list_channels", 1, |api| api.list_channels().map(|all| all.len())),
    ("list_channels_paged", 1, |api| api.list_channels_paged(&page()).map(|all| all.len())),
    ("list_channels_in", 1, |api| api.list_channels_in(VHOST).map(|all| all.len())),
    ("list_channels_in_paged", 1, |api| {
        api.list_channels_in_paged(VHOST, &page()).map(|all| all.len())
    }),
    ("list_channels_on", 1, |api| api.list_channels_on(&connection(api)?).map(|all| all.len())),
    ("get_channel_info", 1, |api| {
        api.get_channel_info(format!("{} (1)", connection(api)?)).map(|_| 1)
    }),
    ("list_consumers", 1, |api| api.list_consumers().map(|all| all.len())),
    ("list_consumers_in", 1, |api| api.list_consumers_in(VHOST).map(|all| all.len())),
    ("list_exchanges", 16, |api| api.list_exchanges().map(|all| all.len())),
    ("list_exchanges_paged", 2, |api| api.list_exchanges_paged(&page()).map(|all| all.len())),
    ("list_exchanges_in", 9, |api| api.list_exchanges_in(VHOST).map(|all| all.len())),
    ("list_exchanges_in_paged", 2, |api| {
        api.list_exchanges_in_paged(VHOST, &page()).map(|all| all.len())
    }),
    ("get_exchange_info", 1, |api| api.get_exchange_info(VHOST, "x1").map(|_| 1)),
    ("list_queues", 3, |api| api.list_queues().map(|all| all.len())),
    ("list_queues_paged", 2, |api| api.list_queues_paged(&page()).map(|all| all.len())),
    ("list_queues_in", 3, |api| api.list_queues_in(VHOST).map(|all| all.len())),
    ("list_queues_in_paged", 2, |api| {
        api.list_queues_in_paged(VHOST, &page()).map(|all| all.len())
    }),
    ("list_queues_with_details", 3, |api| api.list_queues_with_details().map(|all| all.len())),
    ("get_queue_info", 2, |api| {
        api.get_queue_info(VHOST, "c1")?;
        api.get_queue_info(VHOST, "q1").map(|_| 2)
    }),
    ("list_quorum_queues", 1, |api| api.list_quorum_queues().map(|all| all.len())),
    ("list_quorum_queues_in", 1, |api| api.list_quorum_queues_in(VHOST).map(|all| all.len())),
    ("list_classic_queues", 2, |api| api.list_classic_queues().map(|all| all.len())),
    ("list_classic_queues_in", 2, |api| api.list_classic_queues_in(VHOST).map(|all| all.len())),
    ("list_streams", 0, |api| api.list_streams().map(|all| all.len())),
    ("list_bindings", 5, |api| api.list_bindings().map(|all| all.len())),
    ("list_bindings_in", 5, |api| api.list_bindings_in(VHOST).map(|all| all.len())),
    ("list_queue_bindings", 2, |api| api.list_queue_bindings(VHOST, "c1").map(|all| all.len())),
    ("list_exchange_bindings_with_source", 2, |api| {
        api.list_exchange_bindings_with_source(VHOST, "x1").map(|all| all.len())
    }),
    ("list_exchange_bindings_with_destination", 1, |api| {
        api.list_exchange_bindings_with_destination(VHOST, "x2").map(|all| all.len())
    }),
    ("list_policies", 3, |api| api.list_policies().map(|all| all.len())),
    ("list_policies_in", 3, |api| api.list_policies_in(VHOST).map(|all| all.len())),
    ("get_policy", 1, |api| api.get_policy(VHOST, "p1").map(|_| 1)),
    ("list_policies_for_target", 3, |api| {
        api.list_policies_for_target(VHOST, PolicyTarget::Queues).map(|all| all.len())
    }),
    ("list_matching_policies", 3, |api| {
        api.list_matching_policies(VHOST, "c1", PolicyTarget::Queues).map(|all| all.len())
    }),
    ("list_operator_policies", 3, |api| api.list_operator_policies().map(|all| all.len())),
    ("list_operator_policies_in", 3, |api| {
        api.list_operator_policies_in(VHOST).map(|all| all.len())
    }),
    ("get_operator_policy", 1, |api| api.get_operator_policy(VHOST, "o1").map(|_| 1)),
    ("list_operator_policies_for_target", 3, |api| {
        api.list_operator_policies_for_target(VHOST, PolicyTarget::Queues).map(|all| all.len())
    }),
    ("list_matching_operator_policies", 3, |api| {
        api.list_matching_operator_policies(VHOST, "c1", PolicyTarget::Queues).map(|all| all.len())
    }),
    ("list_runtime_parameters", 1, |api| api.list_runtime_parameters().map(|all| all.len())),
    ("list_runtime_parameters_of_component", 1, |api| {
        api.list_runtime_parameters_of_component("vhost-limits").map(|all| all.len())
    }),
    ("list_runtime_parameters_of_component_in", 1, |api| {
        api.list_runtime_parameters_of_component_in("vhost-limits", VHOST).map(|all| all.len())
    }),
    ("get_runtime_parameter", 1, |api| {
        api.get_runtime_parameter("vhost-limits", VHOST, "limits").map(|_| 1)
    }),
    ("list_global_runtime_parameters", 2, |api| {
        api.list_global_runtime_parameters().map(|all| all.len())
    }),
    ("get_global_runtime_parameter", 1, |api| {
        api.get_global_runtime_parameter("http-client").map(|_| 1)
    }),
    ("list_feature_flags", 1, |api| api.list_feature_flags().map(|all| all.0.len())),
    ("list_all_deprecated_features", 0, |api| {
        api.list_all_deprecated_features().map(|all| all.0.len())
    }),
    ("list_deprecated_features_in_use", 0, |api| {
        api.list_deprecated_features_in_use().map(|all| all.0.len())
    }),
    ("health_check_cluster_wide_alarms", 1, |api| {
        api.health_check_cluster_wide_alarms().map(|()| 1)
    }),
    ("health_check_local_alarms", 1, |api| api.health_check_local_alarms().map(|()| 1)),
    ("health_check_if_node_is_quorum_critical", 1, |api| {
        api.health_check_if_node_is_quorum_critical().map(|()| 1)
    }),
    ("health_check_port_listener", 1, |api| {
        let listener = api.overview()?.listeners.into_iter().find(|one| one.protocol == "amqp");
        let port = listener.and_then(|one| u16::try_from(one.port).ok());
        api.health_check_port_listener(port.unwrap_or_default()).map(|()| 1)
    }),
    ("health_check_protocol_listener", 1, |api| {
        api.health_check_protocol_listener(SupportedProtocol::AMQP).map(|()| 1)
    }),
    ("get_messages", 1, |api| {
        api.get_messages(VHOST, "c1", 1, "ack_requeue_true").map(|all| all.len())
    }),
    ("export_cluster_wide_definitions", 100, |api| {
        api.export_cluster_wide_definitions().map(|text| text.len())
    }),
    ("export_cluster_wide_definitions_as_data", 3, |api| {
        api.export_cluster_wide_definitions_as_data().map(|all| all.queues.len())
    }),
    ("export_vhost_definitions", 100, |api| {
        api.export_vhost_definitions(VHOST).map(|text| text.len())
    }),
    ("export_vhost_definitions_as_data", 3, |api| {
        api.export_vhost_definitions_as_data(VHOST).map(|all| all.queues.len())
    }),
];

/// Taken back, in this order.
const TAKEN_BACK: &[Write] = &[
    ("import_cluster_wide_definitions", |api| {
        api.import_cluster_wide_definitions(definitions(&api.export_cluster_wide_definitions()?))
    }),
    ("import_vhost_definitions", |api| {
        let all = definitions(&api.export_vhost_definitions(VHOST)?);
        api.import_vhost_definitions(VHOST, all)
    }),
    ("purge_queue", |api| api.purge_queue(VHOST, "c1")),
    ("delete_binding", |api| {
        api.delete_binding(&binding(BindingDestinationType::Queue, "c1"), false)?;
        api.delete_binding(&binding(BindingDestinationType::Exchange, "x2"), false)
    }),
    ("recreate_binding", |api| {
        let of_default = api.list_queue_bindings(VHOST, "c1")?;
        assert_eq!(of_default.len(), 1, "that of the default exchange");
        api.bind_queue(VHOST, "c1", "x1", Some("b"), None)?;
        let all = api.list_queue_bindings(VHOST, "c1")?;
        let own = all.iter().find(|binding| binding.source == "x1");
        api.recreate_binding(own.expect("the binding is listed"))
    }),
    ("clear_runtime_parameter", |api| {
        api.clear_runtime_parameter("vhost-limits", VHOST, "limits", false)
    }),
    ("clear_global_runtime_parameter", |api| api.clear_global_runtime_parameter("http-client")),
    ("clear_cluster_tags", |api| api.clear_cluster_tags()),
    ("clear_user_limit", |api| api.clear_user_limit(USER, UserLimitTarget::MaxConnections)),
    ("clear_vhost_limit", |api| api.clear_vhost_limit(VHOST, VirtualHostLimitTarget::MaxQueues)),
    ("clear_topic_permissions", |api| api.clear_topic_permissions(VHOST, USER, false)),
    ("clear_permissions", |api| api.clear_permissions(VHOST, USER, false)),
    ("delete_policy", |api| api.delete_policy(VHOST, "p1", false)),
    ("delete_policies_in", |api| api.delete_policies_in(VHOST, vec!["p2", "p3"])),
    ("delete_operator_policy", |api| api.delete_operator_policy(VHOST, "o1", false)),
    ("delete_operator_policies_in", |api| api.delete_operator_policies_in(VHOST, vec!["o2", "o3"])),
    ("close_connection", |api| api.close_connection(&connection(api)?, Some("done"), false)),
    ("close_user_connections", |api| api.close_user_connections(USER, Some("done"), true)),
    ("delete_queue", |api| api.delete_queue(VHOST, "c2", false)),
    ("delete_queue that is gone", |api| api.delete_queue(VHOST, "c2", true)),
    ("delete_queues", |api| api.delete_queues(VHOST, &["c1", "q1"], false)),
    ("delete_exchange", |api| api.delete_exchange(VHOST, "x1", false)),
    ("delete_exchanges", |api| api.delete_exchanges(VHOST, &["x2"], false)),
    ("delete_user", |api| api.delete_user(USER, false)),
    ("delete_users", |api| api.delete_users(vec![OTHER])),
    ("enable_vhost_deletion_protection", |api| api.enable_vhost_deletion_protection(VHOST)),
    ("delete_vhost that is protected", |api| {
        assert!(api.delete_vhost(VHOST, false).is_err());
        Ok(())
    }),
    ("disable_vhost_deletion_protection", |api| api.disable_vhost_deletion_protection(VHOST)),
    ("delete_vhost", |api| api.delete_vhost(VHOST, false)),
];

fn page() -> PaginationParams {
    PaginationParams::new(1, 2)
}

fn definitions(text: &str) -> Value {
    serde_json::from_str(text).expect("definitions are JSON")
}

fn node(api: &Api) -> Result<String> {
    Ok(api.overview()?.node)
}

/// That of the client in the vhost.
fn connection(api: &Api) -> Result<String> {
    let all = api.list_connections_in(VHOST)?;
    Ok(all.into_iter().next().map(|one| one.name).expect("a client is there"))
}

fn write(api: &Api, calls: &[Write]) {
    for (name, call) in calls {
        call(api).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

#[test]
fn rabbitmq_http_client() {
    let broker = Lent::start_with_management();
    let endpoint = format!("http://{}/api", broker.management());
    let api: Api = Client::new(endpoint, "guest", "guest");
    api.delete_vhost(VHOST, true).expect("a vhost can be deleted that is not there");
    write(&api, MADE);
    let mut handshake = broker.broker().handshake();
    handshake.vhost = VHOST.to_owned();
    let mut client = broker.broker().connect_as(&handshake);
    client.call(basic::qos(1));
    client.call(basic::consume("q1", "consumer"));
    client.fill("q1", &["1", "2"]);
    // Everything is listed once the consumer is.
    wait_until("the consumer is listed", || {
        api.list_consumers_in(VHOST).is_ok_and(|all| !all.is_empty())
            && api.list_channels_in(VHOST).is_ok_and(|all| !all.is_empty())
    });
    for (name, least, call) in READ {
        let count = call(&api).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(count >= *least, "{name}: {count}");
    }
    write(&api, TAKEN_BACK);
}
