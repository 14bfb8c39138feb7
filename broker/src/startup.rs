//! From a data directory to a broker: opens the store, seeds an empty one, brings everything
//! durable back, and loads the definitions that the configuration names.
//!
//! Called once by `server::run`, before anything listens. Stays true: nothing durable is passed
//! over in silence. What cannot be read stops the start; a binding whose end is missing is logged.

mod leaving;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use leveret_storage::messages::{Options, Recovered, RecoveredQueue};
use leveret_storage::metadata::boot_epoch;
use leveret_storage::{StorageError, Store};
use thiserror::Error;
use tracing::{info, warn};

use crate::auth::{BackendError, Logins, SeedError, Users, seed_if_empty};
use crate::backup;
use crate::broker::Broker;
use crate::clock;
use crate::config::Config;
use crate::definitions::doubt::doubted_before_ms;
use crate::definitions::parameters;
use crate::definitions::records::{
    self, BindingRecord, DefinitionError, DestinationKind, ExchangeRecord, QueueRecord,
};
use crate::definitions::store::DefinitionStore;
use crate::error::ResourceName;
use crate::exchange::Binding;
use crate::import::{self, ImportError};
use crate::keys::QueueId;
use crate::policy::Policy;
use crate::queue::{Queue, QueueSettings, arguments};
use crate::stores::{MemoryBudget, Messages};
use crate::vhost::Vhost;
use crate::vhost::destination::{Destination, Exchange, ExchangeSettings};

/// Why the broker did not start.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A definition cannot be read.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// Who is asked about users cannot be.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The first users could not be made.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The definitions that the configuration names cannot be loaded.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What is left of a backup cannot be removed.
    #[error("cannot remove what is left of a backup: {0}")]
    Backup(#[from] std::io::Error),
    /// A definition makes no sense.
    #[error("the stored definition of {0} cannot be used: {1}")]
    Unusable(ResourceName, String),
}

/// A broker with everything durable back in it.
#[derive(Debug)]
pub(crate) struct Started {
    /// The broker.
    pub broker: Arc<Broker>,
    /// What backups of it are made of.
    pub backups: Arc<backup::Source>,
    store: Store,
}

impl Started {
    /// Makes everything durable and releases the data directory.
    ///
    /// # Errors
    /// What was not yet durable could not be stored.
    pub(crate) fn close(self) -> Result<(), StorageError> {
        self.broker.messages().close()?;
        self.store.close()
    }
}

/// Opens the data directory and builds the broker.
///
/// # Errors
/// The directory is in use, of a newer version, damaged, or cannot be written.
pub(crate) fn start(config: &Config) -> Result<Started, Error> {
    let store = Store::open(&config.data_dir)?;
    info!("data directory: {}", store.directory().display());
    let metadata = store.metadata();
    let snapshot = metadata.read()?;
    let stored = records::load(&snapshot)?;
    let (messages, recovered) = open_messages(&store, config, &stored)?;
    let epoch = boot_epoch(&*metadata, highest_queue(&stored, &recovered))?;
    let definitions = Arc::new(DefinitionStore::new(metadata, epoch));
    let (snapshot, stored) = match leaving::are_any(&stored) {
        true => leaving::finish(&stored, &snapshot, &definitions, &messages)?,
        false => (snapshot, stored),
    };
    let backups = backup::Source::new(&store, Arc::clone(&definitions), Arc::clone(&messages))?;
    let policies = parameters::policies(&snapshot)?;
    let loopback_users = &config.authentication.loopback_users;
    let topics = parameters::topic_permissions(&snapshot)?;
    let users = Users::new(Arc::clone(&definitions), &stored, &topics, loopback_users);
    // RabbitMQ: what is loaded says who there is.
    let seeded = match config.load_definitions.paths.is_empty() {
        true => seed_if_empty(&users, &stored, &config.seed)?,
        false => {
            info!("definitions are to be loaded: no default user and vhost are made");
            None
        }
    };
    let logins = Logins::new(&config.authentication)?;
    let broker = Arc::new(Broker::new(config, users, logins, definitions, messages));
    if let Some(vhost) = &seeded {
        info!("created vhost '{}' and user '{}'", vhost.name, config.seed.user);
    }
    for vhost in stored.vhosts.iter().chain(&seeded) {
        broker.add_vhost(vhost);
    }
    // What was handed out before a crash, nobody knows: all of it may have been.
    let (was_closed, now_ms) = (store.was_closed(), clock::unix_millis());
    let doubted_ms = doubted_before_ms(&*store.metadata(), &snapshot, was_closed, now_ms)?;
    let named = parameters::global(&snapshot)?
        .into_iter()
        .find(|given| given.name == parameters::CLUSTER_NAME);
    broker.introduction().recall(named.and_then(|given| given.cluster_name()).as_deref());
    for (vhost, limits) in parameters::vhost_limits(&snapshot)? {
        if let Some(vhost) = broker.vhost(&vhost) {
            vhost.set_own_limits(limits);
        }
    }
    if let Some(vhost) = &seeded {
        drop(broker.give_defaults(&vhost.name));
    }
    restore_policies(&broker, policies)?;
    restore(&broker, &stored, recovered, doubted_ms)?;
    import::load(&config.load_definitions, &broker, &snapshot)?;
    Ok(Started { broker, backups: Arc::new(backups), store })
}

/// The highest queue number that anything stored still knows. New queues must be above it: the
/// definitions may have been moved away, while the messages of their queues are still there.
fn highest_queue(stored: &records::Definitions, recovered: &Recovered) -> Option<u64> {
    numbers(stored).chain([recovered.highest_queue]).max()
}

/// All numbers by which definitions know something in the message store.
fn numbers(stored: &records::Definitions) -> impl Iterator<Item = u64> {
    let queues = stored.queues.iter().flat_map(|queue| [Some(queue.id), queue.window]);
    let exchanges = stored.exchanges.iter().map(|exchange| exchange.window);
    queues.chain(exchanges).flatten()
}

fn open_messages(
    store: &Store,
    config: &Config,
    stored: &records::Definitions,
) -> Result<(Arc<Messages>, Recovered), Error> {
    let storage = &config.message_storage;
    let options = Options { fsync: storage.fsync, ..Options::default() };
    let known: HashSet<u64> = numbers(stored).collect();
    let (durable, recovered) = store.open_messages(storage.engine, &options, &known)?;
    for note in &recovered.notes {
        warn!("message store: {note}");
    }
    for quarantined in &recovered.quarantined {
        warn!(
            "{} stored messages belong to queue number {}, which is not defined: they are kept, \
             and come back when the definition does",
            quarantined.messages, quarantined.queue
        );
    }
    let scratch = store.open_scratch(&options)?;
    let budget = MemoryBudget::new(config);
    Ok((Arc::new(Messages::new(durable, scratch, budget)), recovered))
}

fn restore(
    broker: &Broker,
    stored: &records::Definitions,
    mut recovered: Recovered,
    doubted_before_ms: u64,
) -> Result<(), Error> {
    let mut messages = 0;
    for exchange in &stored.exchanges {
        with_vhost(broker, &exchange.vhost, |vhost| {
            let restored = restore_exchange(vhost, exchange);
            if let Some(keys) = window_of(&mut recovered, exchange.window) {
                restored.restore_keys(keys);
            }
            Ok(())
        })?;
    }
    for queue in &stored.queues {
        with_vhost(broker, &queue.vhost, |vhost| {
            let restored = restore_queue(vhost, queue)?;
            if let Some(keys) = window_of(&mut recovered, queue.window) {
                restored.restore_keys(keys);
            }
            if let Some(stored) = recovered.queues.remove(&queue.id) {
                messages += stored.messages.len();
                restored.restore(stored, doubted_before_ms);
            }
            Ok(())
        })?;
    }
    for binding in &stored.bindings {
        with_vhost(broker, &binding.vhost, |vhost| {
            restore_binding(vhost, binding);
            Ok(())
        })?;
    }
    info!(
        "recovered {} exchanges, {} queues, {} bindings, {messages} messages",
        stored.exchanges.len(),
        stored.queues.len(),
        stored.bindings.len()
    );
    Ok(())
}

/// Before queues and exchanges, which go by them from the first moment on.
fn restore_policies(broker: &Broker, policies: Vec<Policy>) -> Result<(), Error> {
    let mut of_vhosts = BTreeMap::<String, Vec<Policy>>::new();
    for policy in policies {
        of_vhosts.entry(policy.vhost.clone()).or_default().push(policy);
    }
    for (vhost, policies) in of_vhosts {
        with_vhost(broker, &vhost, |vhost| {
            vhost.restore_policies(policies);
            Ok(())
        })?;
    }
    Ok(())
}

fn with_vhost(
    broker: &Broker,
    name: &str,
    restore: impl FnOnce(&Vhost) -> Result<(), Error>,
) -> Result<(), Error> {
    match broker.vhost(name) {
        Some(vhost) => restore(&vhost),
        None => {
            warn!("a stored definition names the vhost '{name}', which does not exist");
            Ok(())
        }
    }
}

/// What an exchange or a queue remembered of messages that may come twice.
fn window_of(recovered: &mut Recovered, window: Option<u64>) -> Option<RecoveredQueue> {
    recovered.queues.remove(&window?)
}

fn restore_exchange(vhost: &Vhost, record: &ExchangeRecord) -> Arc<Exchange> {
    let settings = ExchangeSettings {
        kind: record.kind,
        durable: record.durable,
        auto_delete: record.auto_delete,
        internal: record.internal,
        arguments: record.arguments.clone(),
        window: record.window,
    };
    vhost.restore_exchange(&record.name, settings)
}

fn restore_queue(vhost: &Vhost, record: &QueueRecord) -> Result<Arc<Queue>, Error> {
    let resource = vhost.queue_name(&record.name);
    let parsed = arguments::parse(&record.arguments, &resource)
        .map_err(|error| Error::Unusable(resource, error.to_string()))?;
    let settings = QueueSettings {
        durable: record.durable,
        auto_delete: record.auto_delete,
        owner: None,
        arguments: record.arguments.clone(),
        parsed,
        window: record.window,
    };
    let queue = vhost.restore_queue(QueueId(record.id), &record.name, settings);
    if !record.pause.is_none() {
        queue.pause(record.pause.clone());
    }
    Ok(queue)
}

fn restore_binding(vhost: &Vhost, record: &BindingRecord) {
    let destination = match record.destination_kind {
        DestinationKind::Queue => vhost.queue(&record.destination).map(Destination::Queue),
        DestinationKind::Exchange => vhost.exchange(&record.destination).map(Destination::Exchange),
    };
    let restored = destination.is_some_and(|destination| {
        let routing_key = record.routing_key.clone();
        let arguments = record.arguments.clone();
        let binding = Binding { destination, routing_key, arguments };
        vhost.restore_binding(&record.source, binding)
    });
    if !restored {
        warn!(
            "the stored binding from exchange '{}' to '{}' in vhost '{}' has no ends",
            record.source,
            record.destination,
            vhost.name()
        );
    }
}
