//! DER, as much as certificates need of it (ITU-T X.690): elements one after the other.
//!
//! Pure. What is cut off, has no definite length or a tag of more than one octet is none; nothing
//! here panics, whatever the bytes are.

/// One element: its tag, its content, and both with the length between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// Elements that stand one after the other.
#[derive(Debug, Clone)]
pub(super) struct Elements<'a>(&'a [u8]);

/// The tag of a sequence.
pub(super) const SEQUENCE: u8 = 0x30;
/// The tag of a set.
pub(super) const SET: u8 = 0x31;

impl<'a> Elements<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next element, if it has this tag; else it is still the next.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        let mut ahead = self.clone();
        let element = ahead.expect(tag)?;
        *self = ahead;
        Some(element)
    }
}

impl<'a> Element<'a> {
    /// The elements within.
    pub(super) fn elements(&self) -> Elements<'a> {
        Elements(self.content)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (tag, rest) = self.0.split_first()?;
        // Tags above 30 go on in further octets; certificates have none.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag: *tag, content, whole })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_follow_each_other() {
        let long = [&[0x04, 0x81, 0x80][..], &[7; 128]].concat();
        let bytes = [&[0x02, 0x01, 0x05, 0x05, 0x00][..], &long].concat();
        let mut elements = Elements::new(&bytes);
        assert_eq!(elements.optional(SEQUENCE), None);
        assert_eq!(elements.expect(0x02).unwrap().content, [5]);
        assert_eq!(elements.expect(0x05).unwrap().whole, [5, 0]);
        assert_eq!(elements.next().unwrap().content, [7; 128]);
        assert_eq!(elements.next(), None);
    }

    #[test]
    fn what_is_no_der_is_nothing() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x02, 1],
            &[0x1f, 0x81, 0x01, 0],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x04, 0x85, 0, 0, 0, 0, 1, 1],
        ] {
            assert_eq!(Elements::new(bytes).next(), None, "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn an_element_is_never_longer_than_what_there_is(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let total: usize = Elements::new(&bytes).map(|element| element.whole.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
