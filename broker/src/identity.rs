//! What the broker says of itself to clients: the server-properties of connection.start.
//!
//! Made once by `broker::Broker`. Clients choose code paths by `product` and `version`: which kind
//! of prefetch limit they ask for, whether they connect at all. So these two say which broker's
//! behaviour they meet, RabbitMQ's, and `leveret_version` and `platform` say who it is. Both can be
//! configured. Stays true: everything that is named among the capabilities is there.

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

/// The encoded table, without its length.
pub(crate) fn server_properties(identity: &Identity) -> Vec<u8> {
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
            product: "RabbitMQ".to_owned(),
            version: "4.2.0".to_owned(),
        };
        let encoded = server_properties(&identity);
        let table = RawTable::new(&encoded).parse().expect("a table");
        let told = |name: &str| table.get(name).and_then(FieldValue::as_str).map(str::to_owned);
        assert_eq!(told("product").as_deref(), Some("RabbitMQ"));
        assert_eq!(told("version").as_deref(), Some("4.2.0"));
        assert_eq!(told("cluster_name").as_deref(), Some("rabbit@here"));
        assert_eq!(told("leveret_version").as_deref(), Some(VERSION));
        assert!(told("platform").is_some_and(|platform| platform.starts_with("Leveret ")));
    }
}
