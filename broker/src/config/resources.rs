//! When memory or disk space counts as low: `vm_memory_high_watermark.*` and
//! `disk_free_limit.*`. The alarms ask for amounts in bytes.

use super::ConfigError;
use super::keys;
use super::settings::Settings;

/// `vm_memory_high_watermark.*`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MemoryHighWatermark {
    /// A share of the memory there is, above 0 and up to 1.
    Relative(f64),
    /// Bytes.
    Absolute(u64),
}

/// `disk_free_limit.*`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DiskFreeLimit {
    /// A multiple of the memory there is, above 0.
    Relative(f64),
    /// Bytes.
    Absolute(u64),
}

impl MemoryHighWatermark {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(match settings.find(&keys::MEMORY_ABSOLUTE)? {
            Some(bytes) => Self::Absolute(bytes),
            None => Self::Relative(settings.get(&keys::MEMORY_RELATIVE)?),
        })
    }

    /// The watermark in bytes, with `total` bytes of memory.
    #[must_use]
    pub fn bytes(self, total: u64) -> u64 {
        match self {
            Self::Absolute(bytes) => bytes,
            Self::Relative(share) => times(total, share),
        }
    }
}

impl DiskFreeLimit {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(match settings.find(&keys::DISK_FREE_RELATIVE)? {
            Some(multiple) => Self::Relative(multiple),
            None => Self::Absolute(settings.get(&keys::DISK_FREE_ABSOLUTE)?),
        })
    }

    /// The limit in bytes, with `total` bytes of memory.
    #[must_use]
    pub fn bytes(self, total: u64) -> u64 {
        match self {
            Self::Absolute(bytes) => bytes,
            Self::Relative(multiple) => times(total, multiple),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "both factors are positive, the cast saturates, and a byte more or less is nothing"
)]
fn times(total: u64, factor: f64) -> u64 {
    (total as f64 * factor) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_total_and_amounts_are_not() {
        assert_eq!(MemoryHighWatermark::Relative(0.5).bytes(1000), 500);
        assert_eq!(MemoryHighWatermark::Absolute(7).bytes(1000), 7);
        assert_eq!(DiskFreeLimit::Relative(1.5).bytes(1000), 1500);
        assert_eq!(DiskFreeLimit::Absolute(7).bytes(1000), 7);
        assert_eq!(DiskFreeLimit::Relative(1e300).bytes(1000), u64::MAX);
    }
}
