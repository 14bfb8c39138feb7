//! Field tables (AMQP 0-9-1 §4.2.5.5): arguments of declares and binds,
//! message headers, peers' properties. [`RawTable`] is a table still on the
//! wire, checked but not built; [`FieldTable`] is one that somebody works with.

mod field_table;
mod field_value;
mod grammar;
mod raw_table;

pub use field_table::FieldTable;
pub use field_value::FieldValue;
pub use grammar::RawValue;
pub use raw_table::{Entries, RawTable, TABLE_DEPTH_MAX};
