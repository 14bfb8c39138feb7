//! What RabbitMQ has as plugins: which of it is built in, and what a file `enabled_plugins` asks for.
//!
//! `sources` reads the file. Stays true: a file that asks for what is built in changes nothing; what is
//! not there is named in one warning and keeps nobody from starting.

use std::path::Path;

use super::error::{ConfigError, Origin};
use super::settings::Settings;
use super::terms::{self, Term};

/// Built in, in the order of the names.
pub(crate) const BUILT_IN: &[&str] = &[
    "rabbitmq_auth_backend_cache",
    "rabbitmq_auth_backend_http",
    "rabbitmq_auth_backend_oauth2",
    "rabbitmq_auth_mechanism_ssl",
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_event_exchange",
    "rabbitmq_management",
    "rabbitmq_management_agent",
    "rabbitmq_message_deduplication",
    "rabbitmq_prometheus",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_web_dispatch",
];

/// Says what a file asks for and cannot have.
pub(super) fn check_file(
    settings: &mut Settings,
    path: &Path,
    text: &str,
) -> Result<(), ConfigError> {
    let origin = |line| Origin::File { path: path.to_owned(), line };
    let term = terms::file(text).map_err(|error| ConfigError::Syntax {
        origin: origin(error.number),
        detail: error.detail,
    })?;
    let names = match term {
        None => Vec::new(),
        Some(Term::List(names)) => names,
        Some(_) => {
            let detail = "expected a list of plugins".to_owned();
            return Err(ConfigError::Syntax { origin: origin(1), detail });
        }
    };
    let missing = names.iter().filter_map(Term::scalar).filter(|name| !BUILT_IN.contains(name));
    let missing: Vec<&str> = missing.collect();
    if !missing.is_empty() {
        let (place, missing) = (path.display(), missing.join(", "));
        settings.warnings.push(format!("{place}: these plugins are not there: {missing}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named() {
        let said = |text: &str| {
            let mut settings = Settings::default();
            check_file(&mut settings, Path::new("/p"), text)
                .map(|()| settings.warnings)
                .map_err(|error| error.to_string())
        };
        assert_eq!(said("[rabbitmq_management,rabbitmq_prometheus]."), Ok(vec![]));
        assert_eq!(said("[]."), Ok(vec![]));
        assert_eq!(said(""), Ok(vec![]));
        assert_eq!(
            said("[rabbitmq_management, rabbitmq_mqtt,\n rabbitmq_shovel]."),
            Ok(vec!["/p: these plugins are not there: rabbitmq_mqtt, rabbitmq_shovel".to_owned()])
        );
        assert_eq!(said("rabbitmq_mqtt."), Err("/p:1: expected a list of plugins".to_owned()));
        assert_eq!(said("[a"), Err("/p:1: expected ',' or ']'".to_owned()));
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(BUILT_IN.is_sorted(), "keep it so that it can be read");
    }
}
