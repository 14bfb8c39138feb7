//! A JSON object of a definitions document, read member by member.
//!
//! A room of `definitions::document`. Says what is wrong with a member by its name; the object itself
//! is named by [`Object::each`].

use leveret_protocol::types::FieldTable;
use serde_json::{Map, Value};

use super::{DocumentError, Fault, Scope};
use crate::definitions::json_arguments;

/// The longest name or routing key, in bytes (AMQP 0-9-1 §4.2.5.3).
const SHORT_MAX: usize = 255;

/// See the module documentation.
pub(super) struct Object<'a> {
    /// `None` for an object that is not there: it has none.
    members: Option<&'a Map<String, Value>>,
    scope: Scope<'a>,
}

impl<'a> Object<'a> {
    pub(super) fn new(members: &'a Map<String, Value>, scope: Scope<'a>) -> Self {
        Self { members: Some(members), scope }
    }

    /// What the document speaks of.
    pub(super) fn scope(&self) -> Scope<'a> {
        self.scope
    }

    /// A member that is there and not null.
    pub(super) fn find(&self, name: &str) -> Option<&'a Value> {
        self.members?.get(name).filter(|value| !value.is_null())
    }

    /// Reads every object of a category, which may be missing.
    pub(super) fn each<T, E: Into<Fault>>(
        &self,
        category: &str,
        read: impl Fn(&Object<'_>) -> Result<T, E>,
    ) -> Result<Vec<T>, DocumentError> {
        let Some(list) = self.find(category) else { return Ok(Vec::new()) };
        let Some(list) = list.as_array() else {
            return Err(DocumentError::new(category, "it is not a list"));
        };
        let numbered = list.iter().enumerate();
        numbered
            .map(|(at, item)| {
                let place = || format!("{category}, entry {}", at + 1);
                let Some(members) = item.as_object() else {
                    return Err(DocumentError::new(place(), "it is not an object"));
                };
                let object = Object::new(members, self.scope);
                read(&object).map_err(|fault| {
                    DocumentError::of(format!("{}{}", place(), object.title()), fault)
                })
            })
            .collect()
    }

    /// What a person would look for in the document.
    fn title(&self) -> String {
        let text = |name| self.find(name).and_then(Value::as_str);
        let mut title = String::new();
        for (member, before) in [
            ("component", ""),
            ("name", ""),
            ("user", "of user "),
            ("source", "from "),
            ("destination", "to "),
            ("vhost", "in vhost "),
        ] {
            if let Some(text) = text(member) {
                title.push_str(&format!(" {before}'{text}'"));
            }
        }
        if title.is_empty() { title } else { format!(" ({})", title.trim_start()) }
    }

    /// A text that has to be there.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        let Some(value) = self.find(name) else { return Err(format!("'{name}' is missing")) };
        let text = value.as_str().ok_or_else(|| format!("'{name}' is not a text"))?;
        Ok(text.to_owned())
    }

    /// The same, short enough for AMQP.
    pub(super) fn short(&self, name: &str) -> Result<String, String> {
        let text = self.text(name)?;
        if text.len() > SHORT_MAX {
            return Err(format!("'{name}' is longer than {SHORT_MAX} bytes"));
        }
        Ok(text)
    }

    pub(super) fn short_or(&self, name: &str, otherwise: &str) -> Result<String, String> {
        self.find(name).map_or_else(|| Ok(otherwise.to_owned()), |_| self.short(name))
    }

    pub(super) fn text_or(&self, name: &str, otherwise: &str) -> Result<String, String> {
        self.find(name).map_or_else(|| Ok(otherwise.to_owned()), |_| self.text(name))
    }

    /// The vhost it is in. Files that were exported for a single vhost do not name it.
    pub(super) fn vhost(&self) -> Result<String, String> {
        match (self.scope, self.find("vhost")) {
            (Scope::Vhost(name), _) => Ok(name.to_owned()),
            (Scope::Whole, Some(_)) => self.text("vhost"),
            (Scope::Whole, None) => {
                Err("'vhost' is missing: definitions that were exported for a single vhost \
                         are loaded into one"
                    .to_owned())
            }
        }
    }

    pub(super) fn flag(&self, name: &str, otherwise: bool) -> Result<bool, String> {
        let Some(value) = self.find(name) else { return Ok(otherwise) };
        value.as_bool().ok_or_else(|| format!("'{name}' is neither true nor false"))
    }

    /// A list of words, or one text with commas between them.
    pub(super) fn words(&self, name: &str) -> Result<Vec<String>, String> {
        let wrong = || format!("'{name}' is neither a list of texts nor a text");
        let words: Vec<&str> = match self.find(name) {
            None => Vec::new(),
            Some(Value::String(text)) => text.split(',').collect(),
            Some(Value::Array(list)) => {
                list.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        let words = words.into_iter().map(str::trim).filter(|word| !word.is_empty());
        Ok(words.map(str::to_owned).collect())
    }

    /// An object, empty where there is none; an empty list stands for one in some versions.
    pub(super) fn object(&self, name: &str) -> Result<Self, String> {
        match self.find(name) {
            None => Ok(Self { members: None, scope: self.scope }),
            Some(Value::Array(list)) if list.is_empty() => {
                Ok(Self { members: None, scope: self.scope })
            }
            Some(Value::Object(members)) => Ok(Self::new(members, self.scope)),
            Some(_) => Err(format!("'{name}' is not an object")),
        }
    }

    pub(super) fn arguments(&self) -> Result<FieldTable, String> {
        let arguments = self.object("arguments")?;
        arguments.members.map_or_else(|| Ok(FieldTable::new()), json_arguments::from_json)
    }
}
