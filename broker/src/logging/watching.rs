//! Lines of the log for whoever looks at it over HTTP, each with a level and a category of its own.
//!
//! A way out beside the console and the file, closed while nobody looks. Stays true: whoever writes a line
//! never waits for whoever looks; as much is made as the one who wants most wants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::line::as_json;
use super::{BoxedLayer, LogControl, category_of};
use crate::config::LogCategory;
use crate::watched::{Lost, Watch, Watched};

/// A line that was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// How grave it is.
    pub level: Level,
    /// What it is about.
    pub category: LogCategory,
    /// The line, as an object of JSON.
    pub line: String,
}

/// All who look.
#[derive(Clone, Debug)]
pub(super) struct Lookers {
    lines: Arc<Watched<Seen>>,
    filter: reload::Handle<EnvFilter, Registry>,
    /// What each wants to see, by a number.
    levels: Arc<Mutex<BTreeMap<u64, Level>>>,
}

struct ToLookers(Arc<Watched<Seen>>);

/// The way out, which is closed at first.
pub(super) fn layer() -> (BoxedLayer, Lookers) {
    let (filter, handle) = reload::Layer::new(EnvFilter::new("off"));
    let lines = Arc::<Watched<Seen>>::default();
    let layer = ToLookers(Arc::clone(&lines)).with_filter(filter);
    (layer.boxed(), Lookers { lines, filter: handle, levels: Arc::default() })
}

impl<S: Subscriber> Layer<S> for ToLookers {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let about = event.metadata();
        if let Ok(line) = as_json(event, now) {
            let category = category_of(about.target());
            self.0.tell(Seen { level: *about.level(), category, line });
        }
    }
}

impl Lookers {
    /// Makes what the one who wants most wants.
    fn see_to(&self, levels: &BTreeMap<u64, Level>) {
        let filter = match levels.values().max() {
            // Of others' lines, which may be about the very answer that shows them, the grave ones.
            Some(level) => format!("warn,leveret={}", level.as_str().to_lowercase()),
            None => "off".to_owned(),
        };
        // The log goes with the process.
        let _ = self.filter.reload(EnvFilter::new(filter));
    }
}

/// Somebody who looks.
pub(crate) struct LogWatch {
    lines: Watch<Seen>,
    number: u64,
    lookers: Lookers,
    level: Level,
    category: Option<LogCategory>,
}

impl LogControl {
    /// Looks at lines that are as grave as this or more so, of a category or of all.
    pub(crate) fn watch(&self, level: Level, category: Option<LogCategory>) -> LogWatch {
        let lookers = self.lookers.clone();
        let lines = lookers.lines.watch();
        let mut levels = lookers.levels.lock();
        let number = levels.last_key_value().map_or(0, |(last, _)| last + 1);
        levels.insert(number, level);
        lookers.see_to(&levels);
        drop(levels);
        LogWatch { lines, number, lookers, level, category }
    }
}

impl LogWatch {
    /// Waits for the next line; `None` when there will be none. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Result<Arc<Seen>, Lost>> {
        loop {
            match self.lines.next().await? {
                Ok(seen) if !self.wants(&seen) => {}
                other => return Some(other),
            }
        }
    }

    fn wants(&self, seen: &Seen) -> bool {
        seen.level <= self.level && self.category.is_none_or(|category| category == seen.category)
    }
}

impl Drop for LogWatch {
    fn drop(&mut self) {
        let mut levels = self.lookers.levels.lock();
        levels.remove(&self.number);
        self.lookers.see_to(&levels);
    }
}
