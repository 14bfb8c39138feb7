//! What there is in a vhost, as whoever writes down its definitions wants it.
//!
//! Called by `import`. Stays true: registries are read by cloning the `Arc`s out; an exchange's bindings
//! are those of one moment, those of different exchanges need not be.

use std::sync::Arc;

use super::Vhost;
use super::destination::{Destination, Exchange};
use super::records::{binding_record, exchange_record};
use crate::definitions::records::{BindingRecord, ExchangeRecord};

impl Vhost {
    /// All exchanges but the default one, in no order.
    pub(crate) fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.exchanges.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// An exchange as it is kept, be it durable or not.
    pub(crate) fn described(&self, exchange: &Exchange) -> ExchangeRecord {
        exchange_record(&self.name, exchange)
    }

    /// The bindings of an exchange to what `counts`, as they are kept, in no order.
    pub(crate) fn bindings_from(
        &self,
        source: &Exchange,
        counts: impl Fn(&Destination) -> bool,
    ) -> Vec<BindingRecord> {
        let router = source.router();
        let those = router.bindings().filter(|binding| counts(&binding.destination));
        those.map(|binding| binding_record(&self.name, source, binding)).collect()
    }
}
