//! Takes away what a document does not want.
//!
//! A room of `import`; `difference` says what it is. Everything goes the way that management takes. Stays
//! true: no message goes with it, and nobody's consumer: a queue that has one stays and is named, as is
//! whoever asks for it.

use std::sync::Arc;

use super::apply::{NOBODY, patiently};
use crate::broker::Broker;
use crate::broker::access::{By, Refused};
use crate::definitions::command::PolicyChange;
use crate::definitions::document::Document;
use crate::definitions::parameters::{PolicyKey, VHOST_LIMITS};
use crate::vhost::Vhost;
use crate::vhost::bindings::Ends;
use crate::vhost::topology::{Changed, Refusal};

/// See the module documentation. Returns what stays, a sentence each.
pub(super) fn prune(gone: &Document, broker: &Arc<Broker>, by: By<'_>) -> Vec<String> {
    let _acting = broker.events().acting(by.name(), "");
    let mut pruning = Pruning { broker, by, notes: Vec::new() };
    pruning.bindings(gone);
    pruning.queues(gone);
    pruning.policies(gone);
    pruning.parameters(gone);
    pruning.exchanges(gone);
    pruning.access(gone);
    pruning.notes
}

struct Pruning<'a> {
    broker: &'a Arc<Broker>,
    by: By<'a>,
    notes: Vec<String>,
}

impl Pruning<'_> {
    fn note(&mut self, what: impl FnOnce() -> String, refused: Result<(), String>) {
        if let Err(reason) = refused {
            let what = what();
            self.notes.push(format!("{what} stays: {reason}"));
        }
    }

    /// The vhost, unless it is gone: with all that is in it.
    fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.broker.vhost(name)
    }

    fn bindings(&mut self, gone: &Document) {
        for binding in &gone.bindings {
            let Some(vhost) = self.vhost(&binding.vhost) else { continue };
            let (source, destination) = (&*binding.source, &*binding.destination);
            let ends = Ends { source, kind: binding.destination_kind, destination };
            let (key, arguments) = (&binding.routing_key, &binding.arguments);
            let unbound = patiently(&vhost, || vhost.unbind(ends, key, arguments, NOBODY));
            self.note(|| format!("binding from '{source}' to '{destination}'"), done(unbound));
        }
    }

    fn queues(&mut self, gone: &Document) {
        for queue in &gone.queues {
            let Some(vhost) = self.vhost(&queue.vhost) else { continue };
            let deleted =
                patiently(&vhost, || vhost.delete_queue(&queue.name, (true, true), NOBODY));
            vhost.settle();
            self.note(|| vhost.queue_name(&queue.name).to_string(), done(deleted));
        }
    }

    fn exchanges(&mut self, gone: &Document) {
        for exchange in &gone.exchanges {
            let Some(vhost) = self.vhost(&exchange.vhost) else { continue };
            let deleted = patiently(&vhost, || vhost.delete_exchange(&exchange.name, false));
            vhost.settle();
            self.note(|| vhost.exchange_name(&exchange.name).to_string(), done(deleted));
        }
    }

    fn policies(&mut self, gone: &Document) {
        for policy in &gone.policies {
            let Some(vhost) = self.vhost(&policy.vhost) else { continue };
            let changed =
                vhost.change_policies(vec![PolicyChange::Delete(PolicyKey::from(policy))]);
            vhost.policies_changed_now();
            let what = || format!("policy '{}' in vhost '{}'", policy.name, policy.vhost);
            self.note(what, changed.map(drop).map_err(|error| error.to_string()));
        }
    }

    fn parameters(&mut self, gone: &Document) {
        for parameter in &gone.parameters {
            let (vhost, name) = (&parameter.vhost, &parameter.name);
            let cleared = match parameter.component.as_str() {
                VHOST_LIMITS => self.broker.clear_vhost_limits(self.by, vhost),
                component => self.broker.clear_parameter(self.by, vhost, component, name),
            };
            self.refused(cleared, || format!("parameter '{name}' in vhost '{vhost}'"));
        }
        for parameter in &gone.global_parameters {
            drop(self.broker.clear_global_parameter(self.by, &parameter.name));
        }
    }

    fn access(&mut self, gone: &Document) {
        for given in &gone.topic_permissions {
            let of = (&*given.user, &*given.vhost);
            let cleared = self.broker.clear_topic_permissions(self.by, of, Some(&given.exchange));
            self.refused(cleared, || format!("topic permissions of user '{}'", given.user));
        }
        for given in &gone.permissions {
            let cleared = self.broker.clear_permissions(self.by, &given.user, &given.vhost);
            self.refused(cleared, || format!("permissions of user '{}'", given.user));
        }
        for vhost in &gone.vhosts {
            let deleted = self.broker.delete_vhost(self.by, &vhost.name);
            self.refused(deleted, || format!("vhost '{}'", vhost.name));
        }
        for user in &gone.users {
            if matches!(self.by, By::User(asking) if asking == user.name) {
                self.notes.push(format!("user '{}' stays: it asks for this", user.name));
                continue;
            }
            let deleted = self.broker.delete_user(self.by, &user.name);
            self.refused(deleted, || format!("user '{}'", user.name));
        }
    }

    /// All of it is waited for at once.
    fn refused<T>(&mut self, result: Result<T, Refused>, what: impl FnOnce() -> String) {
        self.note(what, result.map(drop).map_err(|refused| refused.to_string()));
    }
}

/// All of it is waited for at once.
fn done<T>(changed: Changed<T>) -> Result<(), String> {
    match changed {
        Ok((_, durable)) => {
            drop(durable);
            Ok(())
        }
        Err(Refusal::Later) => Err("something is being removed".to_owned()),
        Err(Refusal::Error(refused)) => Err(refused.error.to_string()),
    }
}
