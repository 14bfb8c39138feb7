//! Copies of the firehose, and which of them somebody wants to see
//! (<https://www.rabbitmq.com/docs/firehose>).
//!
//! A room of `tap`. Pure. Stays true: a message is in the sample with everything that happens to it, or not
//! at all.

use std::hash::{BuildHasher, Hash, Hasher};

use serde_json::Value;

use crate::ctl::fields::text;

/// What is wanted.
pub(super) struct Wanted {
    pub(super) key: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) id: Option<String>,
    /// One of so many.
    pub(super) sample: u64,
}

/// A header of a copy.
pub(super) fn header<'a>(message: &'a Value, name: &str) -> &'a Value {
    let headers = message.get("properties").and_then(|properties| properties.get("headers"));
    headers.and_then(|headers| headers.get(name)).unwrap_or(&Value::Null)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str)
}

/// The queue that the message comes out of, if it does.
pub(super) fn delivered_from(message: &Value) -> Option<&str> {
    text(message, "routing_key").strip_prefix("deliver.")
}

/// The keys that it was published with.
pub(super) fn keys(message: &Value) -> impl Iterator<Item = &str> {
    texts(header(message, "routing_keys"))
}

/// The queues that it went into.
pub(super) fn queues(message: &Value) -> impl Iterator<Item = &str> {
    texts(header(message, "routed_queues"))
}

/// Whether a key has the form of a pattern of topic exchanges.
fn topic_matches(pattern: &str, key: &str) -> bool {
    let key: Vec<&str> = key.split('.').collect();
    // The beginnings of the key, by their lengths, that the pattern's words so far have the form of.
    let mut reached = vec![0];
    for word in pattern.split('.') {
        reached = match (word, reached.first()) {
            ("#", Some(first)) => (*first..=key.len()).collect(),
            (word, _) => {
                let fits =
                    |at: &&usize| key.get(**at).is_some_and(|own| word == "*" || word == *own);
                reached.iter().filter(fits).map(|at| at + 1).collect()
            }
        };
    }
    reached.last() == Some(&key.len()) || (pattern == "#" && key.is_empty())
}

impl Wanted {
    /// Whether a copy is.
    pub(super) fn is(&self, message: &Value) -> bool {
        let of_key = self
            .key
            .as_deref()
            .is_none_or(|pattern| keys(message).any(|key| topic_matches(pattern, key)));
        let of_queue = self.queue.as_deref().is_none_or(|queue| {
            delivered_from(message) == Some(queue) || queues(message).any(|name| name == queue)
        });
        let id = text(header(message, "properties"), "message_id");
        let of_id = self.id.as_deref().is_none_or(|wanted| wanted == id);
        of_key && of_queue && of_id && self.is_in_sample(message, id)
    }

    /// By what a publish and its deliveries have in common.
    fn is_in_sample(&self, message: &Value, id: &str) -> bool {
        let mut hasher = foldhash::fast::FixedState::with_seed(0).build_hasher();
        (id, text(message, "payload")).hash(&mut hasher);
        keys(message).for_each(|key| key.hash(&mut hasher));
        hasher.finish().is_multiple_of(self.sample.max(1))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn copy(key: &str, id: &str, payload: &str) -> Value {
        let headers = json!({"exchange_name": "x", "routing_keys": ["a.b"],
            "routed_queues": ["q", "r"], "properties": {"message_id": id}});
        json!({"routing_key": key, "payload": payload, "properties": {"headers": headers}})
    }

    fn wanted() -> Wanted {
        Wanted { key: None, queue: None, id: None, sample: 1 }
    }

    #[test]
    fn messages_are_chosen_by_key_queue_and_id() {
        let published = copy("publish.x", "1", "");
        assert!(wanted().is(&published));
        for (key, expected) in [("a.b", true), ("a.*", true), ("#", true), ("b.#", false)] {
            let wanted = Wanted { key: Some(key.to_owned()), ..wanted() };
            assert_eq!(wanted.is(&published), expected, "{key}");
        }
        let of_queue = |queue: &str| Wanted { queue: Some(queue.to_owned()), ..wanted() };
        assert!(of_queue("r").is(&published) && !of_queue("s").is(&published));
        assert!(of_queue("s").is(&copy("deliver.s", "1", "")));
        let of_id = Wanted { id: Some("1".to_owned()), ..wanted() };
        assert!(of_id.is(&published) && !of_id.is(&copy("publish.x", "2", "")));
    }

    #[test]
    fn patterns_are_those_of_topic_exchanges() {
        for (pattern, key, expected) in [
            ("#", "", true),
            ("a.#", "a", true),
            ("a.#.c", "a.b.b.c", true),
            ("a.#.c", "a.b", false),
            ("a.*.c", "a.c", false),
            ("*.b", "a.b", true),
            ("#.b.#", "a.b.c", true),
            ("a", "a.b", false),
            ("b.#", "a.b", false),
        ] {
            assert_eq!(topic_matches(pattern, key), expected, "{pattern} {key}");
        }
    }

    #[test]
    fn a_sample_has_all_of_a_message_or_nothing() {
        let sample = Wanted { sample: 10, ..wanted() };
        let mut count = 0;
        for number in 0..1000 {
            let payload = number.to_string();
            let published = sample.is(&copy("publish.x", "", &payload));
            assert_eq!(published, sample.is(&copy("deliver.q", "", &payload)));
            count += usize::from(published);
        }
        assert!((50..200).contains(&count), "{count}");
    }
}
