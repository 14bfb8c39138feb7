//! What a recent history exchange keeps: the last messages it got.
//!
//! Owned by the exchange, filled by whoever publishes, read when something is bound. Generic over the
//! message: nothing here looks at one. Stays true: it never holds more than it may.

use super::refusals::DeclareError;
use super::value::Printed;
use leveret_protocol::types::{FieldTable, FieldValue};
use std::collections::VecDeque;

const LENGTH: &str = "x-recent-history-length";

/// The header of a message that is not to be kept: true.
pub const NO_STORE: &str = "x-recent-history-no-store";

/// As in RabbitMQ.
const LENGTH_DEFAULT: usize = 20;

/// However many are asked for, no more are kept: they are in memory, and a queue that is bound gets
/// them all at once. RabbitMQ knows no limit, but copies all of them for every message.
const LENGTH_MAX: usize = 16_384;

/// How many messages these arguments ask to keep.
pub(super) fn length(arguments: &FieldTable) -> Result<usize, DeclareError> {
    let Some(value) = arguments.get(LENGTH) else { return Ok(LENGTH_DEFAULT) };
    // RabbitMQ takes the four signed types.
    let asked = match value {
        FieldValue::I8(length) => Some(i64::from(*length)),
        FieldValue::I16(length) => Some(i64::from(*length)),
        FieldValue::I32(length) => Some(i64::from(*length)),
        FieldValue::I64(length) => Some(*length),
        FieldValue::Bool(_)
        | FieldValue::U8(_)
        | FieldValue::U16(_)
        | FieldValue::U32(_)
        | FieldValue::F32(_)
        | FieldValue::F64(_)
        | FieldValue::Decimal { .. }
        | FieldValue::LongString(_)
        | FieldValue::Array(_)
        | FieldValue::Timestamp(_)
        | FieldValue::Table(_)
        | FieldValue::Void
        | FieldValue::Bytes(_) => None,
    };
    match asked {
        Some(asked) if asked > 0 => Ok(usize::try_from(asked).unwrap_or(LENGTH_MAX)),
        Some(_) | None => {
            Err(DeclareError::InvalidHistoryLength { value: Printed(value).to_string() })
        }
    }
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct History<M> {
    /// The oldest first.
    kept: VecDeque<M>,
    most: usize,
}

impl<M: Clone> History<M> {
    /// Of an exchange with these arguments, which have been checked.
    #[must_use]
    pub fn of(arguments: &FieldTable) -> Self {
        let most = length(arguments).unwrap_or(LENGTH_DEFAULT).min(LENGTH_MAX);
        Self { kept: VecDeque::new(), most }
    }

    /// Keeps one more message, and lets go of the oldest when there is no more room.
    pub fn keep(&mut self, message: M) {
        if self.kept.len() >= self.most {
            self.kept.pop_front();
        }
        self.kept.push_back(message);
    }

    /// All that is kept, the oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<M> {
        self.kept.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(length: FieldValue) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert(LENGTH, length);
        table
    }

    fn after(count: usize, arguments: &FieldTable) -> Vec<usize> {
        let mut history = History::of(arguments);
        (1..=count).for_each(|number| history.keep(number));
        history.messages()
    }

    #[test]
    fn the_last_ones_are_kept_in_their_order() {
        let none = FieldTable::default();
        assert_eq!(after(3, &none), [1, 2, 3]);
        assert_eq!(after(25, &none), (6..=25).collect::<Vec<_>>());
        assert_eq!(after(5, &arguments(FieldValue::I8(2))), [4, 5]);
        assert_eq!(after(5, &arguments(FieldValue::I64(1))), [5]);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let kept = after(LENGTH_MAX + 7, &arguments(FieldValue::I64(i64::MAX)));
        assert_eq!((kept.len(), kept[0]), (LENGTH_MAX, 8));
    }

    #[test]
    fn a_length_is_a_signed_number_above_zero() {
        for (value, shown) in [
            (FieldValue::I32(0), "0"),
            (FieldValue::I64(-1), "-1"),
            (FieldValue::U8(5), "5"),
            (FieldValue::LongString(b"5".to_vec()), "<<\"5\">>"),
            (FieldValue::Bool(true), "true"),
            (FieldValue::Void, "undefined"),
        ] {
            let refused = length(&arguments(value)).unwrap_err().to_string();
            let text = "'x-recent-history-length' must be a positive integer";
            assert_eq!(refused, format!("Invalid argument {shown}, {text}"));
        }
    }
}
