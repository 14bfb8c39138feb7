//! What the broker says it has, as Prometheus is told it.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::wait_until;
use leveret_tests::metrics::scrape;

/// What has to be zero when every client is gone.
const OF_CLIENTS: &[&str] = &[
    "rabbitmq_connections",
    "rabbitmq_consumers",
    "rabbitmq_queue_messages_unacked",
    "leveret_store_pending_bytes",
];

/// Every figure without labels that speaks of now.
pub(crate) fn counts(broker: &BrokerUnderTest) -> Vec<(String, f64)> {
    let text = scrape(broker);
    let figures = text.lines().filter(|line| !line.starts_with('#'));
    let figures = figures.filter_map(|line| line.rsplit_once(' '));
    figures
        .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
        .collect()
}

/// Waits until nothing of any client is left.
pub(crate) fn expect_nothing_of_clients(broker: &BrokerUnderTest) {
    wait_until("every count of clients is zero", || {
        let counts = counts(broker);
        OF_CLIENTS.iter().all(|name| {
            let found = counts.iter().find(|(of, _)| of == name);
            let (_, value) = found.unwrap_or_else(|| panic!("there is no figure {name}"));
            *value == 0.0
        })
    });
}
