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

    /// The watermark in bytes, with `total` bytes of memory; `None` if it depends
    /// on a total that is unknown.
    #[must_use]
    pub fn watermark_bytes(self, total: Option<u64>) -> Option<u64> {
        match self {
            Self::Absolute(bytes) => Some(bytes),
            Self::Relative(share) => total.map(|total| times(total, share)),
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

    /// The limit in bytes, with `total` bytes of memory; 0 if it depends on a
    /// total that is unknown.
    #[must_use]
    pub fn bytes(self, total: Option<u64>) -> u64 {
        match self {
            Self::Absolute(bytes) => bytes,
            Self::Relative(multiple) => total.map_or(0, |total| times(total, multiple)),
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
        assert_eq!(MemoryHighWatermark::Relative(0.5).watermark_bytes(Some(1000)), Some(500));
        assert_eq!(MemoryHighWatermark::Relative(0.5).watermark_bytes(None), None);
        assert_eq!(MemoryHighWatermark::Absolute(7).watermark_bytes(None), Some(7));
        assert_eq!(DiskFreeLimit::Relative(1.5).bytes(Some(1000)), 1500);
        assert_eq!(DiskFreeLimit::Relative(1.5).bytes(None), 0);
        assert_eq!(DiskFreeLimit::Absolute(7).bytes(None), 7);
        assert_eq!(DiskFreeLimit::Relative(1e300).bytes(Some(1000)), u64::MAX);
    }
}
