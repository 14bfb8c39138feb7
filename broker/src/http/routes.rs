//! Which path is whose: the table of everything that can be asked.
//!
//! Made once by `Management::service`. Paths have a vhost's name, and every other name, as one part,
//! percent-encoded. See <https://www.rabbitmq.com/docs/http-api-reference>.

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, delete, get, post, put};

use super::{
    Management, answer, backups, bindings, broker_itself, channels, configured, connections,
    consumers, definitions, delayed, exchanges, health, leading, limits, login, memory, messages,
    nodes, oauth, openapi, operation, overview, page, parameters, pausing, permissions, policies,
    queue_arguments, queue_messages, queues, replicas, restocking, route_plans, session, streams,
    users, vhosts, why,
};

pub(super) type Methods = MethodRouter<Arc<Management>>;

/// Routes, and what can be asked of each path: for the test that holds `described` to it.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Arc<Management>>,
    paths: Vec<(String, Methods)>,
}

impl Routes {
    fn new() -> Self {
        Self::default()
    }

    fn route(mut self, path: &str, methods: Methods) -> Self {
        self.paths.push((path.to_owned(), methods.clone()));
        self.router = self.router.route(path, methods);
        self
    }

    fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.paths.extend(other.paths);
        self
    }

    fn nest(mut self, prefix: &str, other: Self) -> Self {
        self.router = self.router.nest(prefix, other.router);
        let beneath = |(path, methods)| (format!("{prefix}{path}"), methods);
        self.paths.extend(other.paths.into_iter().map(beneath));
        self
    }

    /// What can be asked of each path.
    #[cfg(test)]
    pub(super) fn paths(self) -> Vec<(String, Methods)> {
        self.paths
    }
}

/// What answers all of it.
pub(super) fn router() -> Router<Arc<Management>> {
    all().router.merge(page::router()).fallback(|| async { answer::not_found() })
}

/// All of them.
pub(super) fn all() -> Routes {
    let api = Routes::new()
        .merge(of_the_broker())
        .merge(of_users())
        .merge(of_vhosts())
        .merge(of_clients())
        .merge(of_topology())
        .merge(of_messages())
        .merge(of_policies())
        .merge(of_operation())
        .nest("/health/checks", health_checks());
    Routes::new()
        .nest("/api", api)
        .route("/metrics", get(broker_itself::metrics))
        .route(oauth::BACK, get(oauth::end))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
}

/// Reads what is read only.
fn reads<H, T>(handler: H) -> Methods
where
    H: axum::handler::Handler<T, Arc<Management>>,
    T: 'static,
{
    get(handler)
}

fn of_the_broker() -> Routes {
    Routes::new()
        .route("/version", reads(broker_itself::version))
        .route("/whoami", reads(broker_itself::whoami))
        .route("/whoami/rights", reads(broker_itself::rights))
        .route("/overview", reads(overview::overview))
        .route("/overview/queues", reads(leading::queues))
        .route("/cluster-name", get(broker_itself::cluster_name).put(parameters::name_cluster))
        .route("/login", post(login::enter).delete(login::leave))
        .route("/session", get(session::show).post(session::enter).delete(session::leave))
        .route("/session/ways", get(oauth::ways))
        .route("/session/oauth", get(oauth::begin))
        .route("/auth", get(broker_itself::auth))
        .route("/reset", delete(broker_itself::reset))
        .route("/reset/{node}", delete(broker_itself::reset_node))
        .route("/openapi.json", get(openapi::document))
        .route("/extensions", reads(broker_itself::extensions))
        .route("/feature-flags", reads(broker_itself::feature_flags))
        .route("/feature-flags/{name}/enable", put(broker_itself::enable_feature_flag))
        .route("/deprecated-features", reads(broker_itself::deprecated_features))
        .route("/deprecated-features/used", reads(broker_itself::deprecated_features))
        .route("/auth/attempts/{node}", reads(broker_itself::attempts))
        .route("/auth/attempts/{node}/source", reads(broker_itself::attempts_by_source))
        .route("/auth/hash_password/{password}", reads(broker_itself::hash_password))
        .route("/nodes", reads(nodes::all))
        .route("/nodes/{node}", reads(nodes::one))
        .route("/nodes/{node}/memory", reads(memory::absolute))
        .route("/nodes/{node}/memory/relative", reads(memory::relative))
        .route("/nodes/{node}/memory/ets", reads(nodes::tables))
        .route("/nodes/{node}/memory/ets/{filter}", reads(nodes::some_tables))
        .route("/events", get(streams::events))
        .route("/log", get(streams::log))
        .route("/backup", get(backups::taken))
        .route("/rebalance/queues", post(broker_itself::rebalance))
}

/// What is ours, for the command line.
fn of_operation() -> Routes {
    Routes::new()
        .route("/config/effective", reads(configured::effective))
        .route("/config/keys", reads(configured::keys))
        .route("/operation/memory-watermark", put(operation::memory_watermark))
        .route("/operation/disk-free-limit", put(operation::disk_free_limit))
        .route("/operation/log-level", get(configured::log_level).put(operation::log_level))
        .route("/operation/stop", post(operation::stop))
        .route("/operation/authenticate", post(operation::authenticate))
        .route("/operation/definitions", post(operation::apply))
        .route("/operation/definitions/{vhost}", post(operation::apply_to_vhost))
}

fn of_users() -> Routes {
    Routes::new()
        .route("/users", reads(users::all))
        .route("/users/without-permissions", reads(users::without_permissions))
        .route("/users/bulk-delete", post(users::delete_many))
        .route("/users/{user}", get(users::one).put(users::put).delete(users::delete))
        .route("/users/{user}/permissions", reads(permissions::of_user))
        .route("/users/{user}/topic-permissions", reads(permissions::topics_of_user))
        .route("/user-limits", reads(limits::of_users))
        .route("/user-limits/{user}", reads(limits::of_user))
        .route("/user-limits/{user}/{name}", put(limits::limit_user).delete(limits::free_user))
        .route("/permissions", reads(permissions::all))
        .route(
            "/permissions/{vhost}/{user}",
            get(permissions::one).put(permissions::put).delete(permissions::delete),
        )
        .route("/topic-permissions", reads(permissions::topics))
        .route(
            "/topic-permissions/{vhost}/{user}",
            get(permissions::topics_of)
                .put(permissions::put_topic)
                .delete(permissions::delete_topics),
        )
        .route(
            "/topic-permissions/{vhost}/{user}/{exchange}",
            get(permissions::topic_of).delete(permissions::delete_topic),
        )
}

fn of_vhosts() -> Routes {
    Routes::new()
        .route("/vhosts", reads(vhosts::all))
        .route("/vhosts/{vhost}", get(vhosts::one).put(vhosts::put).delete(vhosts::delete))
        .route("/vhosts/{vhost}/permissions", reads(permissions::of_vhost))
        .route("/vhosts/{vhost}/topic-permissions", reads(permissions::topics_of_vhost))
        .route(
            "/vhosts/{vhost}/deletion/protection",
            post(vhosts::protect).delete(vhosts::unprotect),
        )
        .route("/vhosts/{vhost}/start/{node}", post(vhosts::start))
        .route("/vhosts/{vhost}/messages", post(restocking::restock))
        .route("/vhost-limits", reads(limits::of_vhosts))
        .route("/vhost-limits/{vhost}", reads(limits::of_vhost))
        .route("/vhost-limits/{vhost}/{name}", put(limits::limit_vhost).delete(limits::free_vhost))
        .route("/aliveness-test/{vhost}", reads(health::aliveness))
        .route("/healthchecks/node", reads(health::node))
        .route("/healthchecks/node/{node}", reads(health::node))
}

fn of_clients() -> Routes {
    let of_user = get(connections::of_user).delete(connections::close_of_user);
    Routes::new()
        .route("/connections", reads(connections::all))
        .route("/connections/username/{user}", of_user)
        .route("/connections/{name}", get(connections::one).delete(connections::close))
        .route("/connections/{name}/channels", reads(channels::of_connection))
        .route("/vhosts/{vhost}/connections", reads(connections::of_vhost))
        .route("/vhosts/{vhost}/channels", reads(channels::of_vhost))
        .route("/channels", reads(channels::all))
        .route("/channels/{name}", reads(channels::one))
        .route("/consumers", reads(consumers::all))
        .route("/consumers/{vhost}", reads(consumers::of_vhost))
        .route("/consumers/{vhost}/{channel}/{tag}", delete(consumers::cancel))
        .route("/connections/{name}/why", reads(why::of_connection))
        .route("/queues/{vhost}/{queue}/why", reads(why::of_queue))
        .route(
            "/queues/{vhost}/{queue}/arguments",
            get(queue_arguments::show).post(queue_arguments::change),
        )
        .route("/exchanges/{vhost}/{exchange}/route", post(route_plans::plan))
}

fn of_topology() -> Routes {
    let exchange = get(exchanges::one).put(exchanges::put).delete(exchanges::delete);
    let queue = get(queues::one).put(queues::put).delete(queues::delete);
    let between = "/bindings/{vhost}/e/{source}/{kind}/{destination}";
    Routes::new()
        .route("/exchanges", reads(exchanges::all))
        .route("/exchanges/{vhost}", reads(exchanges::of_vhost))
        .route("/exchanges/{vhost}/{exchange}", exchange)
        .route("/exchanges/{vhost}/{exchange}/publish", post(messages::publish))
        .route("/exchanges/{vhost}/{exchange}/bindings/source", reads(exchanges::sources))
        .route("/exchanges/{vhost}/{exchange}/bindings/destination", reads(exchanges::destinations))
        .route("/queues", reads(queues::all))
        .route("/queues/detailed", reads(queues::all))
        .route("/queues/{vhost}", reads(queues::of_vhost))
        .route("/queues/{vhost}/{queue}", queue)
        .route("/queues/{vhost}/{queue}/bindings", reads(bindings::of_queue))
        .route("/queues/{vhost}/{queue}/contents", delete(queues::purge))
        .route("/queues/{vhost}/{queue}/get", post(messages::get))
        .route("/queues/{vhost}/{queue}/actions", post(queues::act))
        .route("/queues/quorum/{vhost}/{queue}/status", reads(replicas::status))
        .route("/queues/quorum/{vhost}/{queue}/replicas/add", post(replicas::add))
        .route("/queues/quorum/{vhost}/{queue}/replicas/delete", delete(replicas::delete))
        .route("/queues/quorum/replicas/on/{node}/grow", post(replicas::grow))
        .route("/queues/quorum/replicas/on/{node}/shrink", delete(replicas::shrink))
        .route("/users/{user}/queues", reads(queues::of_user))
        .route("/bindings", reads(bindings::all))
        .route("/bindings/{vhost}", reads(bindings::of_vhost))
        .route(between, get(bindings::between).post(bindings::bind))
        .route(&format!("{between}/{{key}}"), get(bindings::one).delete(bindings::unbind))
}

fn of_messages() -> Routes {
    let messages = "/queues/{vhost}/{queue}/messages";
    Routes::new()
        .route(messages, reads(queue_messages::peek))
        .route(&format!("{messages}/count"), post(queue_messages::count))
        .route(&format!("{messages}/delete"), post(queue_messages::delete))
        .route(&format!("{messages}/copy"), post(queue_messages::copy))
        .route(&format!("{messages}/move"), post(queue_messages::move_on))
        .route(&format!("{messages}/redrive"), post(queue_messages::redrive))
        .route(
            "/queues/{vhost}/{queue}/pause",
            get(pausing::show).put(pausing::pause).delete(pausing::resume),
        )
        .route(
            "/queues/{vhost}/{queue}/delayed",
            get(delayed::of_queue).delete(delayed::delete_of_queue),
        )
        .route("/queues/{vhost}/{queue}/delayed/{cursor}", delete(delayed::delete_one_of_queue))
        .route(
            "/exchanges/{vhost}/{exchange}/delayed",
            get(delayed::of_exchange).delete(delayed::delete_of_exchange),
        )
        .route(
            "/exchanges/{vhost}/{exchange}/delayed/{cursor}",
            delete(delayed::delete_one_of_exchange),
        )
}

fn of_policies() -> Routes {
    let parameter = get(parameters::one).put(parameters::put).delete(parameters::delete);
    let global =
        get(parameters::one_global).put(parameters::put_global).delete(parameters::delete_global);
    let policy = get(policies::one).put(policies::put).delete(policies::delete);
    let of_operators = get(policies::one_of_operators)
        .put(policies::put_of_operators)
        .delete(policies::delete_of_operators);
    Routes::new()
        .route("/policies", reads(policies::all))
        .route("/policies/{vhost}", reads(policies::of_vhost))
        .route("/policies/{vhost}/{name}", policy)
        .route("/operator-policies", reads(policies::all_of_operators))
        .route("/operator-policies/{vhost}", reads(policies::of_operators))
        .route("/operator-policies/{vhost}/{name}", of_operators)
        .route("/parameters", reads(parameters::all))
        .route("/parameters/{component}", reads(parameters::of_component))
        .route("/parameters/{component}/{vhost}", reads(parameters::of_vhost))
        .route("/parameters/{component}/{vhost}/{name}", parameter)
        .route("/global-parameters", reads(parameters::all_global))
        .route("/global-parameters/{name}", global)
        .route("/definitions", get(definitions::all).post(definitions::load))
        .route("/all-configuration", get(definitions::all).post(definitions::load))
        .route("/definitions/{vhost}", get(definitions::of_vhost).post(definitions::load_vhost))
}

fn health_checks() -> Routes {
    let leaders = "/quorum-queues-without-elected-leaders";
    Routes::new()
        .route("/alarms", reads(health::alarms))
        .route("/local-alarms", reads(health::alarms))
        .route("/virtual-hosts", reads(health::fine))
        .route("/node-is-quorum-critical", reads(health::quorum))
        .route("/metadata-store/initialized", reads(health::fine))
        .route("/metadata-store/initialized/with-data", reads(health::fine))
        .route(&format!("{leaders}/all-vhosts"), reads(health::fine))
        .route(&format!("{leaders}/all-vhosts/pattern/{{pattern}}"), reads(health::fine))
        .route(&format!("{leaders}/vhost/{{vhost}}"), reads(health::fine_in_vhost))
        .route(&format!("{leaders}/vhost/{{vhost}}/pattern/{{pattern}}"), reads(health::fine))
        .route("/port-listener/{port}", reads(health::port))
        .route("/protocol-listener/{protocols}", reads(health::protocols))
        .route("/certificate-expiration/{within}/{unit}", reads(health::certificates))
        .route("/is-in-service", reads(health::in_service))
        .route("/ready-to-serve-clients", reads(health::in_service))
        .route("/below-node-connection-limit", reads(health::below_connection_limit))
        .route("/reached-target-cluster-size", reads(health::cluster_size))
}
