//! Keys of the definitions: a collection and a name within it.
//!
//! The encoding keeps the order: sorting encoded keys sorts by collection, then
//! by name, and for compound names component by component. Callers put names
//! together with [`Key::compound`] and take them apart with [`Key::parts`].

use std::fmt;

/// What kind of definition an entry is. The numbers are on disk and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Collection {
    /// Virtual hosts.
    Vhost = 1,
    /// Users and their password hashes.
    User = 2,
    /// What a user may do in a vhost.
    Permission = 3,
    /// Durable exchanges.
    Exchange = 4,
    /// Durable queues.
    Queue = 5,
    /// Durable bindings.
    Binding = 6,
    /// Policies, limits and other runtime parameters.
    Parameter = 7,
    /// What a node keeps for itself, such as its reserved id blocks.
    Node = 8,
}

impl Collection {
    /// Every collection, in key order.
    pub const ALL: [Self; 8] = [
        Self::Vhost,
        Self::User,
        Self::Permission,
        Self::Exchange,
        Self::Queue,
        Self::Binding,
        Self::Parameter,
        Self::Node,
    ];

    /// The collection's number on disk.
    pub(crate) const fn tag(self) -> u8 {
        self as u8
    }

    /// The collection with that number on disk.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|collection| collection.tag() == tag)
    }
}

/// Names one entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What kind of definition it is.
    pub collection: Collection,
    /// Its name within the collection, any bytes.
    pub name: Vec<u8>,
}

/// The two bytes that end a component; a zero byte inside a component is
/// followed by `ESCAPED_ZERO` instead, which sorts after `END`.
const END: u8 = 0x01;
const ESCAPED_ZERO: u8 = 0xff;

impl Key {
    /// A key whose name is one plain byte string.
    #[must_use]
    pub fn new(collection: Collection, name: impl Into<Vec<u8>>) -> Self {
        Self { collection, name: name.into() }
    }

    /// A key whose name is made of several byte strings, such as vhost and queue.
    /// Keys sort component by component, whatever bytes the components hold.
    #[must_use]
    pub fn compound(collection: Collection, parts: &[&[u8]]) -> Self {
        let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 2).sum());
        for part in parts {
            for &byte in *part {
                name.push(byte);
                if byte == 0 {
                    name.push(ESCAPED_ZERO);
                }
            }
            name.extend([0, END]);
        }
        Self { collection, name }
    }

    /// The components given to [`Key::compound`]; `None` if the name was not
    /// made by it.
    #[must_use]
    pub fn parts(&self) -> Option<Vec<Vec<u8>>> {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut bytes = self.name.iter().copied();
        let mut inside = false;
        while let Some(byte) = bytes.next() {
            inside = true;
            if byte != 0 {
                part.push(byte);
                continue;
            }
            match bytes.next()? {
                END => {
                    parts.push(std::mem::take(&mut part));
                    inside = false;
                }
                ESCAPED_ZERO => part.push(0),
                _ => return None,
            }
        }
        (!inside).then_some(parts)
    }

    /// The key as the database stores it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.name.len() + 1);
        bytes.push(self.collection.tag());
        bytes.extend_from_slice(&self.name);
        bytes
    }

    /// The key that [`Key::encode`] made those bytes from.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&tag, name) = bytes.split_first()?;
        Some(Self::new(Collection::from_tag(tag)?, name))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.collection, self.name.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_collection_keeps_its_number() {
        let tags: Vec<u8> = Collection::ALL.iter().map(|collection| collection.tag()).collect();
        assert_eq!(tags, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Collection::from_tag(0), None);
        assert_eq!(Collection::from_tag(9), None);
    }

    #[test]
    fn a_plain_name_has_no_parts() {
        assert_eq!(Key::new(Collection::Queue, "plain").parts(), None);
        assert_eq!(Key::new(Collection::Queue, vec![b'a', 0]).parts(), None);
        assert_eq!(Key::new(Collection::Queue, vec![b'a', 0, 7]).parts(), None);
        assert_eq!(Key::compound(Collection::Queue, &[]).parts(), Some(vec![]));
    }

    fn component() -> impl Strategy<Value = Vec<u8>> {
        // Small alphabet around the escape bytes: collisions are what is tested.
        prop::collection::vec(prop::sample::select(vec![0_u8, 1, 2, b'a', 0xfe, 0xff]), 0..5)
    }

    proptest! {
        #[test]
        fn compound_names_come_apart_again(parts in prop::collection::vec(component(), 0..4)) {
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let key = Key::compound(Collection::Binding, &slices);
            prop_assert_eq!(key.parts(), Some(parts));
            prop_assert_eq!(Key::decode(&key.encode()), Some(key));
        }

        #[test]
        fn compound_names_keep_the_order(
            left in prop::collection::vec(component(), 1..4),
            right in prop::collection::vec(component(), 1..4),
        ) {
            let encode = |parts: &[Vec<u8>]| {
                let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                Key::compound(Collection::Binding, &slices).encode()
            };
            prop_assert_eq!(encode(&left).cmp(&encode(&right)), left.cmp(&right));
        }
    }
}
