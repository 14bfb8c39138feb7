//! Whether a document can be applied: what it speaks of is there, in it or in the broker, and what it
//! declares may be declared.
//!
//! A room of `import`. Nothing is changed here.

use std::collections::{HashMap, HashSet};

use leveret_protocol::types::{FieldTable, FieldValue};

use crate::auth::assert_topic_rules;
use crate::auth::rights::assert_pattern;
use crate::broker::Broker;
use crate::deduplication;
use crate::definitions::document::{Document, DocumentError, Fault, QueueDefinition};
use crate::definitions::records::{BindingRecord, DestinationKind, ExchangeRecord};
use crate::error::ResourceName;
use crate::exchange::{Binding, ExchangeKind, Router};
use crate::queue::arguments;
use crate::vhost::predeclared;

/// What is there once the documents looked at so far are applied.
#[derive(Debug, Default)]
pub(super) struct Known {
    vhosts: HashSet<String>,
    /// How many of them are not there yet.
    new_vhosts: usize,
    users: HashSet<String>,
    /// By vhost and name.
    exchanges: HashMap<(String, String), ExchangeKind>,
    /// The same.
    queues: HashSet<(String, String)>,
    /// By vhost: the type of queues that name none, unless it is classic.
    queue_types: HashMap<String, Option<String>>,
}

impl Known {
    /// Looks at one document more.
    ///
    /// # Errors
    /// The first thing in it that cannot be.
    pub(super) fn check(
        &mut self,
        document: &Document,
        broker: &Broker,
    ) -> Result<(), DocumentError> {
        for vhost in &document.vhosts {
            let is_new = broker.vhost(&vhost.name).is_none() && !self.vhosts.contains(&vhost.name);
            self.new_vhosts += usize::from(is_new);
            if let Some(max) = broker.vhost_max().filter(|_| is_new)
                && broker.vhost_count() + self.new_vhosts > max
            {
                let name = &vhost.name;
                let reason =
                    format!("cannot create vhost '{name}': vhost limit of {max} is reached");
                return Err(DocumentError::new("vhosts", reason));
            }
            self.vhosts.insert(vhost.name.clone());
        }
        self.users.extend(document.users.iter().map(|user| user.name.clone()));
        self.check_room(document, broker)?;
        self.check_permissions(document, broker)?;
        for policy in &document.policies {
            let what = policy.kind.component().replace('_', " ");
            let object = || format!("{what} '{}' in vhost '{}'", policy.name, policy.vhost);
            self.assert_vhost(&policy.vhost, broker, object)?;
        }
        for parameter in &document.parameters {
            let object =
                || format!("parameter '{}' in vhost '{}'", parameter.name, parameter.vhost);
            self.assert_vhost(&parameter.vhost, broker, object)?;
        }
        for exchange in &document.exchanges {
            self.check_exchange(exchange, broker)?;
        }
        self.check_topic_permissions(document, broker)?;
        for queue in &document.queues {
            self.check_queue(queue, broker)?;
        }
        for binding in &document.bindings {
            self.check_binding(binding, broker)?;
        }
        Ok(())
    }

    /// Whether the queues that are new fit into the limits that their vhosts have, or get by this
    /// document. RabbitMQ goes by the former alone, and leaves out of the new vhosts what does not fit.
    fn check_room(&self, document: &Document, broker: &Broker) -> Result<(), DocumentError> {
        let mut added = HashMap::<&str, usize>::new();
        for queue in &document.queues {
            if !self.has_queue(&queue.vhost, &queue.name, broker) {
                *added.entry(&queue.vhost).or_default() += 1;
            }
        }
        let given = document.parameters.iter();
        let given = given.filter_map(|given| Some((&*given.vhost, given.vhost_limits()?)));
        let given: HashMap<_, _> = given.collect();
        for (name, count) in added {
            let vhost = broker.vhost(name);
            let own = || vhost.as_ref().map(|vhost| vhost.own_limits()).unwrap_or_default();
            let limits = given.get(name).copied().unwrap_or_else(own);
            let there = vhost.as_ref().map_or(0, |vhost| vhost.queues().len());
            if let Some(max) = limits.max_queues.filter(|max| there + count > *max as usize) {
                let told = format!(
                    "Adding {count} queue(s) to virtual host \"{name}\" would exceed the limit of \
                     {max} queue(s).\n\nThis virtual host currently has {there} queue(s) \
                     defined.\n\nImport aborted!"
                );
                let reason =
                    format!("{count} more would exceed the limit of vhost '{name}', {max}");
                return Err(DocumentError::of("queues", Fault::told(reason, told)));
            }
        }
        Ok(())
    }

    fn check_permissions(&self, document: &Document, broker: &Broker) -> Result<(), DocumentError> {
        for given in &document.permissions {
            let object = || format!("permissions of '{}' in vhost '{}'", given.user, given.vhost);
            self.assert_user(&given.user, broker, object)?;
            self.assert_vhost(&given.vhost, broker, object)?;
            assert_patterns(&[&given.configure, &given.write, &given.read], object)?;
        }
        Ok(())
    }

    fn check_topic_permissions(
        &self,
        document: &Document,
        broker: &Broker,
    ) -> Result<(), DocumentError> {
        for given in &document.topic_permissions {
            let object =
                || format!("topic permissions of '{}' in vhost '{}'", given.user, given.vhost);
            self.assert_user(&given.user, broker, object)?;
            self.assert_vhost(&given.vhost, broker, object)?;
            let name = &given.exchange;
            if !name.is_empty() && self.exchange(&given.vhost, name, broker).is_none() {
                let told = format!("{{no_such_exchange,<<\"{name}\">>}}");
                let fault = Fault::told(format!("there is no exchange '{name}'"), told);
                return Err(DocumentError::of(object(), fault));
            }
            let checked = assert_topic_rules(given);
            checked.map_err(|error| DocumentError::new(object(), error.to_string()))?;
        }
        Ok(())
    }

    /// Queues that name no type get their vhost's, as this or an earlier document says, or as it is.
    pub(super) fn give_types(&mut self, document: &mut Document, broker: &Broker) {
        for vhost in &document.vhosts {
            let given = vhost.queue_type().map(str::to_owned);
            self.queue_types.insert(vhost.name.clone(), given);
        }
        for queue in &mut document.queues {
            let arguments = std::mem::take(&mut queue.arguments);
            let stays = queue.durable && !queue.auto_delete;
            queue.arguments = match self.queue_types.get(&queue.vhost) {
                Some(given) => arguments::with_default_type(arguments, given.as_deref(), stays),
                None => match broker.vhost(&queue.vhost) {
                    Some(vhost) => vhost.with_queue_type(arguments, stays),
                    None => arguments,
                },
            };
        }
    }

    /// One that exists stays as it is, whatever the document says of it.
    fn check_exchange(
        &mut self,
        exchange: &ExchangeRecord,
        broker: &Broker,
    ) -> Result<(), DocumentError> {
        let ExchangeRecord { vhost, name, .. } = exchange;
        let resource = ResourceName::exchange(vhost, name).to_string();
        self.assert_vhost(vhost, broker, || resource.clone())?;
        if broker.vhost(vhost).is_none_or(|vhost| vhost.exchange(name).is_none()) {
            let valid = exchange.kind.validate(&exchange.arguments);
            valid.map_err(|error| DocumentError::of(&*resource, refused(&error)))?;
            let checked = deduplication::check_all(&exchange.arguments);
            checked.map_err(|(key, reason)| {
                DocumentError::new(resource, format!("invalid arg '{key}': {reason}"))
            })?;
        }
        self.exchanges.insert((vhost.clone(), name.clone()), exchange.kind);
        Ok(())
    }

    /// The same for a queue.
    fn check_queue(
        &mut self,
        queue: &QueueDefinition,
        broker: &Broker,
    ) -> Result<(), DocumentError> {
        let resource = ResourceName::queue(&queue.vhost, &queue.name);
        self.assert_vhost(&queue.vhost, broker, || resource.to_string())?;
        if !self.has_queue(&queue.vhost, &queue.name, broker) {
            let parsed = arguments::parse(&queue.arguments, &resource);
            parsed.map_err(|error| DocumentError::of(resource.to_string(), refused(&error)))?;
            assert_properties(queue)
                .map_err(|reason| DocumentError::new(resource.to_string(), reason))?;
        }
        self.queues.insert((queue.vhost.clone(), queue.name.clone()));
        Ok(())
    }

    fn check_binding(&self, binding: &BindingRecord, broker: &Broker) -> Result<(), DocumentError> {
        let BindingRecord { vhost, source, destination, .. } = binding;
        let object = || format!("binding from '{source}' to '{destination}' in vhost '{vhost}'");
        self.assert_vhost(vhost, broker, object)?;
        let kind = self.exchange(vhost, source, broker);
        let has_destination = match binding.destination_kind {
            DestinationKind::Exchange => self.exchange(vhost, destination, broker).is_some(),
            DestinationKind::Queue => self.has_queue(vhost, destination, broker),
        };
        let (Some(kind), true) = (kind, has_destination) else {
            let missing = ends(binding).into_iter().zip([kind.is_some(), has_destination]);
            let missing = missing.filter(|(_, is_there)| !is_there).map(|(end, _)| end);
            return Err(DocumentError::of(object(), missing_ends(vhost, missing.collect())));
        };
        // As good as any other destination: only key and arguments are looked at.
        let (routing_key, arguments) = (binding.routing_key.clone(), binding.arguments.clone());
        let like = Binding { destination: 0_u32, routing_key, arguments };
        let valid = Router::new(kind).is_new(&like);
        valid.map(drop).map_err(|error| DocumentError::new(object(), error.to_string()))
    }

    /// The type of an exchange that is there or will be.
    fn exchange(&self, vhost: &str, name: &str, broker: &Broker) -> Option<ExchangeKind> {
        let there = broker.vhost(vhost).and_then(|vhost| vhost.exchange(name));
        let there = there.map(|exchange| exchange.settings().kind);
        let will_be = || self.exchanges.get(&(vhost.to_owned(), name.to_owned())).copied();
        there.or_else(will_be).or_else(|| predeclared(name))
    }

    fn has_queue(&self, vhost: &str, name: &str, broker: &Broker) -> bool {
        let there = broker.vhost(vhost).is_some_and(|vhost| vhost.queue(name).is_some());
        there || self.queues.contains(&(vhost.to_owned(), name.to_owned()))
    }

    fn assert_vhost(
        &self,
        name: &str,
        broker: &Broker,
        object: impl Fn() -> String,
    ) -> Result<(), DocumentError> {
        if self.vhosts.contains(name) || broker.vhost(name).is_some() {
            return Ok(());
        }
        let told = format!("Please create virtual host \"{name}\" prior to importing definitions.");
        Err(DocumentError::of(object(), Fault::told(format!("there is no vhost '{name}'"), told)))
    }

    fn assert_user(
        &self,
        name: &str,
        broker: &Broker,
        object: impl Fn() -> String,
    ) -> Result<(), DocumentError> {
        if self.users.contains(name) || broker.users().user(name).is_some() {
            return Ok(());
        }
        let told = format!("{{no_such_user,<<\"{name}\">>}}");
        Err(DocumentError::of(object(), Fault::told(format!("there is no user '{name}'"), told)))
    }
}

/// What a client would be refused with.
fn refused(error: &impl ToString) -> Fault {
    let reason = error.to_string();
    Fault::told(reason.clone(), format!("precondition_failed: {reason}"))
}

/// Both ends of a binding, the source first.
fn ends(binding: &BindingRecord) -> [(&'static str, &str); 2] {
    let kind = match binding.destination_kind {
        DestinationKind::Exchange => "exchange",
        DestinationKind::Queue => "queue",
    };
    [("exchange", &binding.source), (kind, &binding.destination)]
}

fn missing_ends(vhost: &str, missing: Vec<(&'static str, &str)>) -> Fault {
    let term = |(kind, name): &(&str, &str)| {
        format!("{{not_found,{{resource,<<\"{vhost}\">>,{kind},<<\"{name}\">>}}}}")
    };
    let reasons = missing.iter().map(|(kind, name)| format!("there is no {kind} '{name}'"));
    let terms: Vec<_> = missing.iter().map(term).collect();
    let told = format!("{{resources_missing,[{}]}}", terms.join(",\n                    "));
    Fault::told(reasons.collect::<Vec<_>>().join(", "), told)
}

fn assert_patterns(patterns: &[&String], object: impl Fn() -> String) -> Result<(), DocumentError> {
    for pattern in patterns {
        assert_pattern(pattern).map_err(|error| DocumentError::new(object(), error.to_string()))?;
    }
    Ok(())
}

/// A quorum queue is durable and does not go by itself, as on RabbitMQ.
fn assert_properties(queue: &QueueDefinition) -> Result<(), String> {
    let kind = |arguments: &FieldTable| {
        arguments.get("x-queue-type").and_then(FieldValue::as_str) == Some("quorum")
    };
    match queue {
        queue if !kind(&queue.arguments) => Ok(()),
        queue if queue.auto_delete => Err("invalid property 'auto-delete'".to_owned()),
        queue if !queue.durable => Err("invalid property 'non-durable'".to_owned()),
        _ => Ok(()),
    }
}
