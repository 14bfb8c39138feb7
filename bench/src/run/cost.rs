//! What a phase costs the broker and the load generator, from its begin to its end.

use crate::process::{Processes, Usage};
use crate::target::Target;
use std::time::Duration;

/// What a phase cost the broker and the load generator.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    own: Processes,
    before: Option<Usage>,
    own_before: Option<Usage>,
    memory_before: Option<u64>,
    /// CPU time of the broker.
    pub(crate) cpu: Option<Duration>,
    /// CPU time of the load generator.
    pub(crate) own_cpu: Option<Duration>,
    /// Bytes the broker caused to be written to disks.
    pub(crate) written: Option<u64>,
    memory_after: Option<u64>,
    peak: u64,
}

impl Cost {
    pub(crate) fn begin(target: &Target) -> Self {
        let own = Processes::own();
        Self {
            before: target.processes.usage(),
            own_before: own.usage(),
            own,
            memory_before: target.processes.memory(),
            cpu: None,
            own_cpu: None,
            written: None,
            memory_after: None,
            peak: 0,
        }
    }

    /// Takes the figures of now as the end; may be called again later.
    pub(crate) fn stop(&mut self, target: &Target) {
        let (now, own_now) = (target.processes.usage(), self.own.usage());
        let since = now.as_ref().zip(self.before.as_ref());
        self.cpu = since.map(|(now, before)| now.cpu_since(before));
        self.written = since.and_then(|(now, before)| now.written_since(before));
        self.own_cpu =
            own_now.zip(self.own_before.as_ref()).map(|(now, before)| now.ticks_since(before));
        self.memory_after = target.processes.memory();
        self.note_peak(self.memory_after);
    }

    /// Notes a look at the memory of the broker.
    pub(crate) fn note_peak(&mut self, memory: Option<u64>) {
        self.peak = self.peak.max(memory.unwrap_or(0));
    }

    /// Resident memory of the broker: before, peak, after.
    pub(crate) fn memory(&self) -> Option<[u64; 3]> {
        let (before, after) = self.memory_before.zip(self.memory_after)?;
        Some([before, self.peak.max(before), after])
    }
}
