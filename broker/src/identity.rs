//! What the broker says of itself to clients: the server-properties of connection.start.
//!
//! Made by `broker::Broker`, and again when the cluster is given another name. Clients choose code paths by `product` and `version`: which kind
//! of prefetch limit they ask for, whether they connect at all. So these two say which broker's
//! behaviour they meet, RabbitMQ's, and `leveret_version` and `platform` say who it is. Both can be
//! configured. Stays true: everything that is named among the capabilities is there.

use std::sync::Arc;

use arc_swap::ArcSwap;
use leveret_protocol::types::{FieldTable, FieldValue};

use crate::config::Identity;

/// The extensions of RabbitMQ that the broker has, by RabbitMQ's names.
const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who the broker says it is, which may change while it runs.
#[derive(Debug)]
pub(crate) struct Introduction {
    configured: Identity,
    now: ArcSwap<Told>,
}

/// What is told at a moment.
#[derive(Debug)]
pub(crate) struct Told {
    /// The cluster's name.
    pub cluster_name: String,
    /// The encoded table of connection.start, without its length.
    pub server_properties: Vec<u8>,
}

impl Introduction {
    /// As configured.
    pub(crate) fn new(identity: &Identity) -> Self {
        let now = ArcSwap::from_pointee(Told::new(identity));
        Self { configured: identity.clone(), now }
    }

    /// What is told now.
    pub(crate) fn now(&self) -> Arc<Told> {
        self.now.load_full()
    }

    /// The cluster has this name from now on; with none, the configured one.
    pub(crate) fn rename(&self, cluster_name: Option<&str>) {
        let mut identity = self.configured.clone();
        if let Some(cluster_name) = cluster_name {
            cluster_name.clone_into(&mut identity.cluster_name);
        }
        self.now.store(Arc::new(Told::new(&identity)));
    }

    /// The name that the cluster was given before, at a start.
    pub(crate) fn recall(&self, cluster_name: Option<&str>) {
        if !self.configured.is_named {
            self.rename(cluster_name);
        }
    }
}

impl Told {
    fn new(identity: &Identity) -> Self {
        let cluster_name = identity.cluster_name.clone();
        Self { cluster_name, server_properties: server_properties(identity) }
    }
}

/// The encoded table, without its length.
fn server_properties(identity: &Identity) -> Vec<u8> {
    let capabilities: FieldTable =
        CAPABILITIES.iter().map(|name| ((*name).to_owned(), FieldValue::Bool(true))).collect();
    let text = |value: &str| FieldValue::LongString(value.as_bytes().to_vec());
    let mut table = FieldTable::new();
    table.insert("capabilities", FieldValue::Table(capabilities));
    table.insert("cluster_name", text(&identity.cluster_name));
    table.insert("copyright", text("Copyright (c) the Leveret authors"));
    table.insert("information", text("Licensed under the Apache License 2.0"));
    table.insert("leveret_version", text(VERSION));
    table.insert("platform", text(&format!("Leveret {VERSION} (Rust)")));
    table.insert("product", text(&identity.product));
    table.insert("version", text(&identity.version));
    let mut encoded = Vec::new();
    table.encode_entries(&mut encoded);
    encoded
}

#[cfg(test)]
mod tests {
    use leveret_protocol::types::RawTable;

    use super::*;

    #[test]
    fn clients_are_told_whose_behaviour_they_meet_and_who_it_is() {
        let identity = Identity {
            cluster_name: "rabbit@here".to_owned(),
            is_named: false,
            product: "RabbitMQ".to_owned(),
            version: "4.3.6".to_owned(),
        };
        let encoded = server_properties(&identity);
        let table = RawTable::new(&encoded).parse().expect("a table");
        let told = |name: &str| table.get(name).and_then(FieldValue::as_str).map(str::to_owned);
        assert_eq!(told("product").as_deref(), Some("RabbitMQ"));
        assert_eq!(told("version").as_deref(), Some("4.3.6"));
        assert_eq!(told("cluster_name").as_deref(), Some("rabbit@here"));
        assert_eq!(told("leveret_version").as_deref(), Some(VERSION));
        assert!(told("platform").is_some_and(|platform| platform.starts_with("Leveret ")));
    }

    #[test]
    fn a_name_that_was_given_counts_unless_the_configuration_has_one() {
        let identity = |is_named| Identity {
            cluster_name: "configured".to_owned(),
            is_named,
            product: "p".to_owned(),
            version: "v".to_owned(),
        };
        let name = |introduction: &Introduction| {
            let now = introduction.now();
            let table = RawTable::new(&now.server_properties).parse().unwrap();
            let told = table.get("cluster_name").and_then(FieldValue::as_str).map(str::to_owned);
            assert_eq!(told.as_ref(), Some(&now.cluster_name));
            now.cluster_name.clone()
        };
        let introduction = Introduction::new(&identity(false));
        introduction.recall(Some("given"));
        assert_eq!(name(&introduction), "given");
        introduction.rename(None);
        assert_eq!(name(&introduction), "configured");
        let introduction = Introduction::new(&identity(true));
        introduction.recall(Some("given"));
        assert_eq!(name(&introduction), "configured");
        introduction.rename(Some("later"));
        assert_eq!(name(&introduction), "later");
    }
}
