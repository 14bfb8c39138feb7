//! Which samples are asked for: `lengths_age` and `lengths_incr`, and the same of `msg_rates`, `data_rates`
//! and `node_stats`, in seconds (<https://www.rabbitmq.com/docs/management#http-api>).
//!
//! Read by every resource that tells rates. Stays true: nobody gets more than [`SAMPLES_MAX`] samples of a
//! number.

use super::Management;
use super::answer::Fault;
use super::request::Query;
use crate::clock;
use crate::meters::history::{Range, Ticks};

/// More steps than this are refused.
const SAMPLES_MAX: i64 = 500;

/// What is asked for, and when was sampled last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranges {
    /// Of levels of queues.
    pub lengths: Option<Range>,
    /// Of messages on their way.
    pub msg_rates: Option<Range>,
    /// Of octets.
    pub data_rates: Option<Range>,
    /// Of what the node uses.
    pub node_stats: Option<Range>,
    /// When was sampled last.
    pub ticks: Ticks,
}

impl Ranges {
    /// As a query has it.
    ///
    /// # Errors
    /// 400: there is no such range, or it has too many samples.
    pub(super) fn of(management: &Management, query: &Query) -> Result<Self, Fault> {
        let now_ms = clock::unix_millis();
        Ok(Self {
            lengths: range(query, "lengths", now_ms)?,
            msg_rates: range(query, "msg_rates", now_ms)?,
            data_rates: range(query, "data_rates", now_ms)?,
            node_stats: range(query, "node_stats", now_ms)?,
            ticks: management.broker.ticks(),
        })
    }
}

fn range(query: &Query, of: &str, now_ms: u64) -> Result<Option<Range>, Fault> {
    let number = |what: &str| query.get(&format!("{of}_{what}"))?.parse::<i64>().ok();
    let Some((age, step)) = number("age").zip(number("incr")) else { return Ok(None) };
    let invalid = || {
        let text = format!("Invalid range parameters: age {age}, incr {step}");
        Fault::bad("invalid_range_parameters", text)
    };
    if age <= 0 || step <= 0 || age / step > SAMPLES_MAX {
        return Err(invalid());
    }
    let ms = |seconds: i64| u64::try_from(seconds).ok()?.checked_mul(1000);
    let (age_ms, step_ms) = ms(age).zip(ms(step)).ok_or_else(invalid)?;
    let last_ms = now_ms / step_ms * step_ms;
    Ok(Some(Range { first_ms: last_ms.saturating_sub(age_ms), last_ms, step_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Option<Range>, Fault> {
        range(&Query::parse(text), "lengths", 1_234_567)
    }

    #[test]
    fn a_range_ends_at_a_full_step() {
        let range = asked("lengths_age=60&lengths_incr=5").unwrap().unwrap();
        assert_eq!(range, Range { first_ms: 1_170_000, last_ms: 1_230_000, step_ms: 5000 });
    }

    #[test]
    fn what_is_no_number_is_not_asked_for_and_what_is_none_is_refused() {
        for text in ["", "lengths_age=60", "lengths_age=x&lengths_incr=5", "msg_rates_age=60"] {
            assert!(matches!(asked(text), Ok(None)), "{text}");
        }
        for (age, step) in [("0", "5"), ("60", "0"), ("-1", "5"), ("2505", "5")] {
            let text = format!("lengths_age={age}&lengths_incr={step}");
            assert!(asked(&text).is_err(), "{text}");
        }
        assert!(asked("lengths_age=2500&lengths_incr=5").is_ok());
        assert!(asked(&format!("lengths_age={}&lengths_incr={}", i64::MAX, i64::MAX)).is_err());
    }
}
