//! What the allocator keeps of memory that was given back.
//!
//! jemalloc keeps pages that became free for a while, because they are likely to be wanted again.
//! Asked by `resources`: such pages are resident, but nobody's, and no reason to hold publishers
//! back. `server` starts the threads that give them back to the system. Stays true: nothing here
//! changes what is allocated.

use std::fmt;

use tikv_jemalloc_ctl::{background_thread, epoch, stats};

/// Why the allocator does not do as it is told, in its own words.
#[derive(Debug)]
pub(crate) struct Unwilling(tikv_jemalloc_ctl::Error);

impl fmt::Display for Unwilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// From now on free pages go back to the system within ten seconds, whether or not anybody
/// allocates meanwhile.
///
/// # Errors
/// The allocator has no threads for this.
pub(crate) fn give_back_in_the_background() -> Result<(), Unwilling> {
    background_thread::write(true).map_err(Unwilling)
}

/// What the allocator has of the system, in bytes; all zero where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocated {
    /// In use.
    pub used: u64,
    /// In pages that are in use.
    pub unused: u64,
    /// In pages that are not.
    pub reserved: u64,
}

/// As it is now.
pub(crate) fn allocated() -> Allocated {
    let allocated = || {
        epoch::advance()?;
        let (used, active) = (stats::allocated::read()?, stats::active::read()?);
        let unused = active.saturating_sub(used) as u64;
        Ok::<_, tikv_jemalloc_ctl::Error>((used as u64, unused))
    };
    let (used, unused) = allocated().unwrap_or_default();
    Allocated { used, unused, reserved: purgeable_bytes() }
}

/// Resident pages that hold nothing, in bytes.
pub(crate) fn purgeable_bytes() -> u64 {
    let purgeable = || {
        // Statistics are those of the last epoch.
        epoch::advance()?;
        let held = stats::active::read()?.saturating_add(stats::metadata::read()?);
        stats::resident::read().map(|resident| resident.saturating_sub(held) as u64)
    };
    purgeable().unwrap_or(0)
}
