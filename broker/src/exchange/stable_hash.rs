//! Hashes that never change: what a message is sent by is the same after a restart, on another
//! machine and in a later version.
//!
//! Called by the exchange types that choose a destination, and by `vhost::routing` for what they
//! choose by. Both hashes are made of one function, the block hash that Bob Jenkins published in
//! 1996, which is also what Erlang's `phash2` is made of.

/// The golden ratio, as the block hash begins with it.
const GOLDEN: u32 = 0x9e37_79b9;
/// What `phash2` adds before the bytes of a binary: 13 times the golden ratio.
const BINARY: u32 = GOLDEN.wrapping_mul(13);
/// What it adds to the end of a list: twice the golden ratio.
const LIST_END: u32 = GOLDEN.wrapping_mul(2);
/// The number by which it knows the empty list.
const NIL: u32 = 2;
/// `phash2` gives this many bits, unless it is asked for others.
const PHASH2_BITS: u32 = 27;
/// Bytes that are mixed in at once.
const BLOCK: usize = 12;

/// What `erlang:phash2` gives for a list of these texts as binaries, below 2²⁷. RabbitMQ's
/// `x-modulus-hash` hashes all routing keys of a message so, and a key goes here where it goes there.
#[must_use]
pub fn of_list(texts: &[&str]) -> u32 {
    let bytes = |hash: u32, text: &&str| match text.as_bytes() {
        [] => BINARY.wrapping_add(hash),
        bytes => block_hash(bytes, BINARY.wrapping_add(hash)),
    };
    let hash = texts.iter().fold(0, bytes);
    let mut state = State { a: LIST_END.wrapping_add(NIL), b: LIST_END, c: hash };
    state.mix();
    state.c % (1 << PHASH2_BITS)
}

/// 64 bits of anything.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> u64 {
    u64::from(block_hash(bytes, 0)) << 32 | u64::from(block_hash(bytes, GOLDEN))
}

/// Spreads what is in any of the bits over all of them (the last step of SplitMix64).
pub(super) const fn spread(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn add(&mut self, block: [u8; BLOCK]) {
        let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = block;
        self.a = self.a.wrapping_add(u32::from_le_bytes([a0, a1, a2, a3]));
        self.b = self.b.wrapping_add(u32::from_le_bytes([b0, b1, b2, b3]));
        self.c = self.c.wrapping_add(u32::from_le_bytes([c0, c1, c2, c3]));
    }

    fn mix(&mut self) {
        for [first, second, third] in [[13, 8, 13], [12, 16, 5], [3, 10, 15]] {
            self.a = self.a.wrapping_sub(self.b).wrapping_sub(self.c) ^ (self.c >> first);
            self.b = self.b.wrapping_sub(self.c).wrapping_sub(self.a) ^ (self.a << second);
            self.c = self.c.wrapping_sub(self.a).wrapping_sub(self.b) ^ (self.b >> third);
        }
    }
}

fn block_hash(bytes: &[u8], start: u32) -> u32 {
    let mut state = State { a: GOLDEN, b: GOLDEN, c: start };
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    for block in blocks {
        state.add(*block);
        state.mix();
    }
    // The first byte of the third word is the length's: what comes after the eighth is moved by one.
    let mut last = [0; BLOCK];
    let (head, tail) = rest.split_at(rest.len().min(8));
    last.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
    last.iter_mut().skip(9).zip(tail).for_each(|(to, from)| *to = *from);
    state.add(last);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    state.c = state.c.wrapping_add(length);
    state.mix();
    state.c
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// What Erlang 27 answers to `erlang:phash2(List, 134217728)`.
    #[test]
    fn lists_hash_as_erlang_hashes_them() {
        let rows: [(&[&str], u32); 8] = [
            (&[""], 38_220_213),
            (&["a"], 53_691_870),
            (&["key-1"], 57_358_350),
            (&["a", "b"], 3_094_894),
            (&["0123456789ab"], 119_280_432),
            (&["0123456789abc"], 56_666_097),
            (&["the quick brown fox jumps over the lazy dog"], 92_974_328),
            (&["a", "bb", "ccc"], 72_598_261),
        ];
        for (texts, hash) in rows {
            assert_eq!(of_list(texts), hash, "{texts:?}");
        }
    }

    #[test]
    fn every_byte_counts_and_so_does_the_length() {
        let mut seen = HashSet::new();
        for length in 0..40_usize {
            let zeros = vec![0; length];
            assert!(seen.insert(of_bytes(&zeros)), "{length} zeros");
            for at in 0..length {
                let mut bytes = zeros.clone();
                bytes[at] = 1;
                assert!(seen.insert(of_bytes(&bytes)), "byte {at} of {length}");
            }
        }
    }

    /// They are part of what is promised: a message goes where it went before.
    #[test]
    fn these_values_stay() {
        assert_eq!(of_bytes(b""), 0xbd49_d10d_ad9a_0439);
        assert_eq!(of_bytes(b"key-1"), 0x86a7_6676_83de_4d22);
        assert_eq!(spread(1), 0x5692_161d_100b_05e5);
    }
}
