//! Fields taken off the front of bytes, little-endian, and numbers of a variable length.
//!
//! Stays true: nothing here panics or trusts a length.

/// Takes fields off the front of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// So many bytes, or `None` if there are fewer.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    /// So many bytes, as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    /// One byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number as [`put_variable`] writes it.
    pub(crate) fn variable(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Appends a number: 7 bits a byte, the lowest first, the highest bit says that more follow.
pub(crate) fn put_variable(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// A difference as a number that is small when it is, whatever its sign.
pub(crate) const fn zigzag(from: u64, to: u64) -> u64 {
    let difference = to.wrapping_sub(from).cast_signed();
    ((difference << 1) ^ (difference >> 63)).cast_unsigned()
}

/// Turns [`zigzag`] round.
pub(crate) const fn unzigzag(from: u64, number: u64) -> u64 {
    let difference = (number >> 1).cast_signed() ^ -((number & 1).cast_signed());
    from.wrapping_add(difference.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_variable_length_read_back() {
        let mut bytes = Vec::new();
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        numbers.iter().for_each(|number| put_variable(&mut bytes, *number));
        let mut reader = Reader(&bytes);
        for number in numbers {
            assert_eq!(reader.variable(), Some(number));
        }
        assert_eq!((reader.variable(), Reader(&[0xff; 20]).variable()), (None, None));
        for (from, to) in [(0, 0), (5, 3), (3, 5), (0, u64::MAX), (u64::MAX, 0), (1 << 63, 1)] {
            assert_eq!(unzigzag(from, zigzag(from, to)), to);
        }
        assert_eq!((zigzag(5, 4), zigzag(5, 6)), (1, 2));
    }
}
