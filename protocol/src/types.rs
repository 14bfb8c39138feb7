//! Field tables (AMQP 0-9-1 §4.2.5.5): arguments of declares and binds,
//! message headers, peers' properties. [`RawTable`] is a table still on the
//! wire, checked but not built; [`FieldTable`] is one that somebody works with.

mod field_table;
mod raw_table;

pub use field_table::{FieldTable, FieldValue};
pub use raw_table::{Entries, RawTable, RawValue, TABLE_DEPTH_MAX};

#[cfg(test)]
mod tests;
