//! The topic exchange: binding keys are patterns over words separated by dots.
//!
//! Called by [`super::Router`]. `*` stands for exactly one word, `#` for zero or more; `a..b` has
//! an empty word in the middle and the empty key has no word at all (RabbitMQ splits it so, which
//! is why `*` does not match it). The keys form a trie: every edge is a literal word, `*` or `#`.
//!
//! A route walks the trie as a nondeterministic automaton, word by word:
//!
//! ```text
//!   reached   nodes where the words so far end exactly; replaced at each word
//!   open      `#` nodes entered so far; each swallows any further word, so it only grows
//! ```
//!
//! Invariant: a `#` node is entered at most once in a route, and every other node has one parent,
//! so no node is reached twice with the same words behind it. The work is therefore bounded by
//! words times nodes, however many `#` a pattern has, and normally by a few hash look-ups a word.

use super::destinations::{Destinations, Found};
use foldhash::fast::RandomState;
use rustc_hash::{FxHashMap, FxHashSet};
use slab::Slab;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::Hash;

/// Key of a node in the slab.
type NodeId = usize;

/// Open `#` nodes are searched linearly up to this many.
const LINEAR_OPEN_MAX: usize = 32;

/// A literal word of some binding key, interned so that a routing key's word is hashed once and
/// compared with all patterns as a number.
type Symbol = u32;

/// The trie of all binding keys of one exchange.
#[derive(Clone, Debug)]
pub(super) struct TopicTrie<D> {
    words: WordTable,
    /// The literal edges of all nodes: a node without any costs nothing here.
    edges: FxHashMap<(NodeId, Symbol), NodeId>,
    nodes: Slab<Node<D>>,
    root: NodeId,
}

#[derive(Clone, Debug)]
struct Node<D> {
    /// Destinations of the binding key that ends here.
    destinations: Destinations<D>,
    star: Option<NodeId>,
    hash: Option<NodeId>,
    /// How many edges in [`TopicTrie::edges`] begin here.
    literals: u32,
    /// Whether a `#` stands somewhere above: only then may a `#` node be entered twice.
    below_hash: bool,
}

/// One word of a binding key.
#[derive(Clone, Copy, Debug)]
enum Pattern<'a> {
    Literal(&'a [u8]),
    Star,
    Hash,
}

impl<D: Clone + Eq + Hash> Default for TopicTrie<D> {
    fn default() -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::new(false));
        Self { words: WordTable::default(), edges: FxHashMap::default(), nodes, root }
    }
}

impl<D: Clone + Eq + Hash> TopicTrie<D> {
    pub(super) fn insert(&mut self, key: &[u8], destination: &D) {
        let mut at = self.root;
        let mut below_hash = false;
        for pattern in patterns(key) {
            at = self.child(at, pattern).unwrap_or_else(|| self.grow(at, pattern, below_hash));
            below_hash |= matches!(pattern, Pattern::Hash);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.destinations.add(destination);
        }
    }

    pub(super) fn remove(&mut self, key: &[u8], destination: &D) {
        let mut path = Vec::new();
        let mut at = self.root;
        for pattern in patterns(key) {
            let Some(child) = self.child(at, pattern) else { return };
            path.push((at, pattern, child));
            at = child;
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.destinations.remove(destination);
        }
        for (parent, pattern, child) in path.into_iter().rev() {
            if self.nodes.get(child).is_some_and(|node| !node.is_bare()) {
                return;
            }
            self.prune(parent, pattern, child);
        }
    }

    pub(super) fn route(&self, key: &[u8], out: &mut Vec<D>) {
        let mut walk = Walk::new(self, out);
        for word in words(key) {
            if walk.is_over() {
                return;
            }
            walk.step(word);
        }
        walk.finish();
    }

    fn child(&self, parent: NodeId, pattern: Pattern<'_>) -> Option<NodeId> {
        let node = self.nodes.get(parent)?;
        match pattern {
            Pattern::Literal(word) => self.literal_child(parent, self.words.symbol(word)?),
            Pattern::Star => node.star,
            Pattern::Hash => node.hash,
        }
    }

    fn literal_child(&self, parent: NodeId, symbol: Symbol) -> Option<NodeId> {
        self.edges.get(&(parent, symbol)).copied()
    }

    /// Adds the missing child of `parent` for `pattern`.
    fn grow(&mut self, parent: NodeId, pattern: Pattern<'_>, below_hash: bool) -> NodeId {
        let child = self.nodes.insert(Node::new(below_hash));
        if let Pattern::Literal(word) = pattern {
            let symbol = self.words.intern(word);
            self.edges.insert((parent, symbol), child);
        }
        if let Some(node) = self.nodes.get_mut(parent) {
            match pattern {
                Pattern::Literal(_) => node.literals += 1,
                Pattern::Star => node.star = Some(child),
                Pattern::Hash => node.hash = Some(child),
            }
        }
        child
    }

    /// Takes a bare `child` away from its parent.
    fn prune(&mut self, parent: NodeId, pattern: Pattern<'_>, child: NodeId) {
        self.nodes.try_remove(child);
        if let Pattern::Literal(word) = pattern
            && let Some(symbol) = self.words.symbol(word)
        {
            self.edges.remove(&(parent, symbol));
            self.words.release(word);
        }
        if let Some(node) = self.nodes.get_mut(parent) {
            match pattern {
                Pattern::Literal(_) => node.literals -= 1,
                Pattern::Star => node.star = None,
                Pattern::Hash => node.hash = None,
            }
        }
    }
}

impl<D: Clone + Eq + Hash> Node<D> {
    fn new(below_hash: bool) -> Self {
        Self {
            destinations: Destinations::default(),
            star: None,
            hash: None,
            literals: 0,
            below_hash,
        }
    }

    /// Whether nothing ends or continues here.
    fn is_bare(&self) -> bool {
        self.destinations.is_empty() && !self.continues() && self.hash.is_none()
    }

    /// Whether another word could lead further.
    fn continues(&self) -> bool {
        self.star.is_some() || self.literals > 0
    }
}

/// One route in progress.
struct Walk<'trie, 'out, D> {
    trie: &'trie TopicTrie<D>,
    reached: SmallVec<[NodeId; 16]>,
    next: SmallVec<[NodeId; 16]>,
    open: SmallVec<[NodeId; 16]>,
    /// The same nodes as `open`, once they are many.
    open_set: Option<FxHashSet<NodeId>>,
    found: Found<'out, D>,
}

impl<'trie, 'out, D: Clone + Eq + Hash> Walk<'trie, 'out, D> {
    fn new(trie: &'trie TopicTrie<D>, out: &'out mut Vec<D>) -> Self {
        let mut walk = Self {
            trie,
            reached: SmallVec::new(),
            next: SmallVec::new(),
            open: SmallVec::new(),
            open_set: None,
            found: Found::new(out),
        };
        walk.reach(trie.root);
        walk.advance();
        walk
    }

    /// Whether no further word can find anything.
    fn is_over(&self) -> bool {
        self.reached.is_empty() && self.open.is_empty()
    }

    /// Consumes one word of the routing key.
    fn step(&mut self, word: &[u8]) {
        let symbol = self.trie.words.symbol(word);
        // A `#` entered by this very word swallows only later ones, hence the count taken first.
        for at in 0..self.open.len() {
            if let Some(&node) = self.open.get(at) {
                self.follow(node, symbol);
            }
        }
        for at in 0..self.reached.len() {
            if let Some(&node) = self.reached.get(at) {
                self.follow(node, symbol);
            }
        }
        self.advance();
    }

    fn advance(&mut self) {
        std::mem::swap(&mut self.reached, &mut self.next);
        self.next.clear();
    }

    fn follow(&mut self, id: NodeId, symbol: Option<Symbol>) {
        let Some(node) = self.trie.nodes.get(id) else { return };
        if let Some(star) = node.star {
            self.reach(star);
        }
        if node.literals > 0
            && let Some(symbol) = symbol
            && let Some(child) = self.trie.literal_child(id, symbol)
        {
            self.reach(child);
        }
    }

    /// Notes a node whose words are used up, and enters the `#` nodes that stand for no word.
    fn reach(&mut self, id: NodeId) {
        self.next.push(id);
        let mut hash = self.trie.nodes.get(id).and_then(|node| node.hash);
        while let Some(id) = hash {
            let Some(node) = self.trie.nodes.get(id) else { return };
            if node.below_hash && !self.enter(id) {
                return;
            }
            if !node.below_hash && node.continues() {
                self.note_open(id);
            }
            // Whatever words follow, this `#` swallows them: its own bindings match already.
            self.found.extend(&node.destinations);
            hash = node.hash;
        }
    }

    /// Opens a `#` node below another one; false when it is open already.
    fn enter(&mut self, id: NodeId) -> bool {
        let entered = match &self.open_set {
            Some(set) => set.contains(&id),
            None => self.open.contains(&id),
        };
        if !entered {
            self.note_open(id);
        }
        !entered
    }

    fn note_open(&mut self, id: NodeId) {
        self.open.push(id);
        if let Some(set) = &mut self.open_set {
            set.insert(id);
        } else if self.open.len() > LINEAR_OPEN_MAX {
            self.open_set = Some(self.open.iter().copied().collect());
        }
    }

    fn finish(mut self) {
        for id in &self.reached {
            if let Some(node) = self.trie.nodes.get(*id) {
                self.found.extend(&node.destinations);
            }
        }
    }
}

/// The literal words of all binding keys with the number of edges that bear them.
#[derive(Clone, Debug, Default)]
struct WordTable {
    symbols: HashMap<Box<[u8]>, (Symbol, u32), RandomState>,
    /// Symbols whose word is gone.
    free: Vec<Symbol>,
    next: Symbol,
}

impl WordTable {
    fn symbol(&self, word: &[u8]) -> Option<Symbol> {
        self.symbols.get(word).map(|(symbol, _)| *symbol)
    }

    fn intern(&mut self, word: &[u8]) -> Symbol {
        if let Some((symbol, uses)) = self.symbols.get_mut(word) {
            *uses += 1;
            return *symbol;
        }
        let symbol = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        self.symbols.insert(word.into(), (symbol, 1));
        symbol
    }

    fn release(&mut self, word: &[u8]) {
        match self.symbols.get_mut(word) {
            Some((_, uses)) if *uses > 1 => *uses -= 1,
            Some(_) | None => {
                if let Some((symbol, _)) = self.symbols.remove(word) {
                    self.free.push(symbol);
                }
            }
        }
    }
}

/// The words of a key: none in the empty one.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.split(|byte| *byte == b'.').filter(move |_| !key.is_empty())
}

fn patterns(key: &[u8]) -> impl Iterator<Item = Pattern<'_>> {
    words(key).map(|word| match word {
        b"*" => Pattern::Star,
        b"#" => Pattern::Hash,
        literal => Pattern::Literal(literal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn routed<D: Clone + Eq + Hash + Ord>(trie: &TopicTrie<D>, key: &str) -> Vec<D> {
        let mut out = Vec::new();
        trie.route(key.as_bytes(), &mut out);
        out.sort_unstable();
        out
    }

    /// The definition, exponential and obvious.
    fn matches(pattern: &[&[u8]], key: &[&[u8]]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((&b"#", rest)), None) => matches(rest, key),
            (Some((&b"#", rest)), Some((_, later))) => {
                matches(rest, key) || matches(pattern, later)
            }
            (Some(_), None) => false,
            (Some((word, rest)), Some((given, later))) => {
                (*word == b"*" || word == given) && matches(rest, later)
            }
        }
    }

    fn naive(bindings: &[(String, u8)], key: &str) -> Vec<u8> {
        let key: Vec<_> = words(key.as_bytes()).collect();
        let mut out: Vec<_> = bindings
            .iter()
            .filter(|(pattern, _)| matches(&words(pattern.as_bytes()).collect::<Vec<_>>(), &key))
            .map(|(_, destination)| *destination)
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Checklist 94, every row as observed on RabbitMQ.
    #[test]
    fn rows_observed_on_rabbitmq() {
        let bindings = [
            "",
            "#",
            "*",
            "*.*",
            "#.#",
            "a",
            "a.",
            ".a",
            "a..b",
            "a.*.b",
            "a.#.b",
            "*.#",
            "#.*",
            "a.#",
            "#.a.#.b.#",
            "a*",
            ".",
            "*.#.*",
        ];
        let mut trie = TopicTrie::default();
        for binding in bindings {
            trie.insert(binding.as_bytes(), &binding);
        }
        let rows: [(&str, &[&str]); 14] = [
            ("", &["", "#", "#.#"]),
            (".", &["#", "*.*", "#.#", "*.#", "#.*", ".", "*.#.*"]),
            ("a", &["#", "*", "#.#", "a", "*.#", "#.*", "a.#"]),
            ("a.", &["#", "*.*", "#.#", "a.", "*.#", "#.*", "a.#", "*.#.*"]),
            (".a", &["#", "*.*", "#.#", ".a", "*.#", "#.*", "*.#.*"]),
            (
                "a..b",
                &["#", "#.#", "a..b", "a.*.b", "a.#.b", "*.#", "#.*", "a.#", "#.a.#.b.#", "*.#.*"],
            ),
            ("a.b", &["#", "*.*", "#.#", "a.#.b", "*.#", "#.*", "a.#", "#.a.#.b.#", "*.#.*"]),
            ("a.b.b", &["#", "#.#", "a.*.b", "a.#.b", "*.#", "#.*", "a.#", "#.a.#.b.#", "*.#.*"]),
            ("..", &["#", "#.#", "*.#", "#.*", "*.#.*"]),
            ("b.a.c.b.d", &["#", "#.#", "*.#", "#.*", "#.a.#.b.#", "*.#.*"]),
            ("a*", &["#", "*", "#.#", "*.#", "#.*", "a*"]),
            ("ab", &["#", "*", "#.#", "*.#", "#.*"]),
            ("*", &["#", "*", "#.#", "*.#", "#.*"]),
            ("#", &["#", "*", "#.#", "*.#", "#.*"]),
        ];
        for (key, expected) in rows {
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(routed(&trie, key), expected, "routing key {key:?}");
        }
    }

    #[test]
    fn removal_leaves_nothing_behind() {
        let mut trie = TopicTrie::default();
        let keys = ["", "a.b.c", "a.b", "a.*.#", "#", "a.#.b.#", "a.b.c.d"];
        for key in keys {
            trie.insert(key.as_bytes(), &key);
        }
        trie.remove(b"a.b", &"a.b");
        trie.remove(b"a.b", &"a.b");
        trie.remove(b"never.bound", &"x");
        assert_eq!(routed(&trie, "a.b.c"), ["#", "a.#.b.#", "a.*.#", "a.b.c"]);
        for key in keys {
            trie.remove(key.as_bytes(), &key);
        }
        assert_eq!(trie.nodes.len(), 1, "only the root remains");
        assert!(trie.edges.is_empty() && trie.words.symbols.is_empty());
        assert!(trie.nodes.get(trie.root).is_some_and(Node::is_bare));
    }

    /// Checklist 94 where it hurts: without the visited set each further `#` would multiply the
    /// work, and this would not return within the life of the machine.
    #[test]
    fn many_hashes_do_not_explode() {
        let mut trie = TopicTrie::default();
        let pattern = format!("{}z", "#.a.".repeat(60));
        trie.insert(pattern.as_bytes(), &0);
        trie.insert("#.*.".repeat(60).trim_end_matches('.').as_bytes(), &1);
        trie.insert("#.".repeat(120).trim_end_matches('.').as_bytes(), &2);
        let key = "a.".repeat(127);
        assert_eq!(routed(&trie, key.trim_end_matches('.')), [1, 2]);
        assert_eq!(routed(&trie, &format!("{key}z")), [0, 1, 2]);
    }

    #[test]
    fn many_open_hashes_are_still_entered_once() {
        let mut trie = TopicTrie::default();
        for word in 0..200_u32 {
            trie.insert(format!("#.{word}.#.{word}.#").as_bytes(), &word);
        }
        let key: Vec<_> = (0..60_u32).chain(20..70).map(|word| word.to_string()).collect();
        assert_eq!(routed(&trie, &key.join(".")), (20..60).collect::<Vec<_>>());
    }

    fn key() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec!["a", "b", "c", "", "aa"]);
        prop::collection::vec(word, 0..7).prop_map(|words| words.join("."))
    }

    fn pattern() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec!["a", "b", "c", "", "#", "#", "*", "a#"]);
        prop::collection::vec(word, 0..6).prop_map(|words| words.join("."))
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            bindings in prop::collection::vec((pattern(), 0..12_u8), 0..40),
            kept in prop::collection::vec(any::<bool>(), 40),
            keys in prop::collection::vec(key(), 1..12),
        ) {
            let mut trie = TopicTrie::default();
            for (pattern, destination) in &bindings {
                trie.insert(pattern.as_bytes(), destination);
            }
            let mut left = Vec::new();
            for (binding, keep) in bindings.iter().zip(kept) {
                if keep {
                    left.push(binding.clone());
                } else {
                    trie.remove(binding.0.as_bytes(), &binding.1);
                }
            }
            for key in keys {
                prop_assert_eq!(routed(&trie, &key), naive(&left, &key), "key {:?}", key);
            }
        }
    }
}
