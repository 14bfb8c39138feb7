//! A field table still on the wire. Methods and properties carry these; they
//! cost a pointer and a length until someone asks for an entry.

use super::grammar::{self, RawValue};
use super::{FieldTable, FieldValue};
use crate::error::{DecodeError, Malformed};

/// Tables and arrays that may be nested in a table, one in another.
///
/// RabbitMQ has no limit; here one keeps the depth of recursion bounded.
pub const TABLE_DEPTH_MAX: u8 = 128;

/// The octets of a table, without the length before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawTable<'a>(&'a [u8]);

impl<'a> RawTable<'a> {
    /// The table without entries.
    pub const EMPTY: RawTable<'static> = RawTable(&[]);

    /// A table of these octets, which [`RawTable::validate`] may still refuse.
    #[must_use]
    #[inline]
    pub fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// A table of these octets if they form one.
    ///
    /// # Errors
    /// The octets are malformed, or nested too deeply.
    #[inline]
    pub fn checked(octets: &'a [u8]) -> Result<Self, Malformed> {
        if !octets.is_empty() {
            grammar::check_entries(octets, TABLE_DEPTH_MAX)?;
        }
        Ok(Self(octets))
    }

    /// The octets, without the length before them.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no entry.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walks the whole table without building anything.
    ///
    /// # Errors
    /// The octets are malformed, or nested deeper than [`TABLE_DEPTH_MAX`].
    pub fn validate(&self) -> Result<(), DecodeError> {
        grammar::check_entries(self.0, TABLE_DEPTH_MAX).map_err(Malformed::in_table)
    }

    /// The table to work with. Names that are not UTF-8 get replacement
    /// characters; the octets here keep them as they are.
    ///
    /// # Errors
    /// The octets are malformed, or nested deeper than [`TABLE_DEPTH_MAX`].
    pub fn parse(&self) -> Result<FieldTable, DecodeError> {
        grammar::build_table(self.0, TABLE_DEPTH_MAX).map_err(Malformed::in_table)
    }

    /// The first value called `key`, and nothing else, built.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<FieldValue> {
        grammar::build_value(self.find(key)?, TABLE_DEPTH_MAX).ok()
    }

    /// The first value called `key`, still on the wire.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<RawValue<'a>> {
        self.entries().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    /// All entries in order, up to the first malformed one.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries(self.0)
    }
}

/// The entries of a [`RawTable`]: name and value.
#[derive(Clone, Debug)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], RawValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (rest, entry) = grammar::entry(self.0).ok()?;
        self.0 = rest;
        Some(entry)
    }
}
