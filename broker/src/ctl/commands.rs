//! What a command is: its name, what it is called with, what it asks the broker, and what is shown of the
//! answer. All of it data, which `table` has.
//!
//! A room of `ctl`. Commands that are more than one question have a function (`Act::Own`).

use serde_json::Value;

use super::client::{Client, Sent, segment};
use super::failure::{DATA, Failed};
use super::grammar::Line;
use super::show::{Output, Rows};

/// Programs of RabbitMQ that this one stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `rabbitmqctl`, and `leveret ctl`, which knows the commands of all.
    Ctl,
    /// `rabbitmq-diagnostics`.
    Diagnostics,
    /// `rabbitmq-queues`.
    Queues,
    /// `rabbitmq-plugins`.
    Plugins,
    /// `rabbitmq-upgrade`.
    Upgrade,
}

impl Tool {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Ctl, Self::Diagnostics, Self::Queues, Self::Plugins, Self::Upgrade];

    /// The program's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ctl => "rabbitmqctl",
            Self::Diagnostics => "rabbitmq-diagnostics",
            Self::Queues => "rabbitmq-queues",
            Self::Plugins => "rabbitmq-plugins",
            Self::Upgrade => "rabbitmq-upgrade",
        }
    }

    /// The tool that a program of this name is.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }
}

/// A command.
#[derive(Clone, Copy)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// What follows it, as usage shows it.
    pub(super) arguments: &'static str,
    /// How many words at least and at most.
    pub(super) words: (usize, usize),
    /// The options that it takes beside those of all.
    pub(super) options: &'static [&'static str],
    /// What is printed before anything is done; empty for nothing.
    pub(super) banner: &'static str,
    pub(super) act: Act,
    /// Which programs have it, beside `leveret ctl`.
    pub(super) tools: &'static [Tool],
}

/// As many words as somebody likes.
pub(super) const MANY: usize = usize::MAX;

/// What a command does.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Shows a list.
    List(List),
    /// Has something done.
    Send(Request),
    /// More than one question.
    Own(fn(&Call<'_>) -> Result<Output, Failed>),
    /// Nothing: what would be done is so anyway.
    Says(&'static str),
    /// Nothing: it has no meaning here, for this reason.
    Refuses(&'static str),
}

/// A list of objects.
#[derive(Clone, Copy)]
pub(super) struct List {
    pub(super) path: &'static str,
    /// What a column is called, and where it is in an object (`Column`).
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// How many of them are shown unless somebody names some.
    pub(super) shown: usize,
    /// Whether objects of other vhosts are in it, which are not meant.
    pub(super) of_vhost: bool,
}

/// A question that changes something.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) body: Option<Body>,
    pub(super) missing: Missing,
}

/// What a request carries.
pub(super) type Body = fn(&Call<'_>) -> Result<Value, Failed>;

/// What it means that what is asked for is not there.
#[derive(Clone, Copy)]
pub(super) enum Missing {
    /// It is so already.
    Fine,
    /// This.
    Says(&'static str, u8),
    /// What the broker says.
    Broker,
}

impl Command {
    pub(super) const fn new(
        name: &'static str,
        arguments: &'static str,
        words: (usize, usize),
        banner: &'static str,
        act: Act,
    ) -> Self {
        let tools: &[Tool] = &[Tool::Ctl];
        Self { name, arguments, words, options: &[], banner, act, tools }
    }

    pub(super) const fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    pub(super) const fn tools(self, tools: &'static [Tool]) -> Self {
        Self { tools, ..self }
    }

    /// Whether the words behind it are the columns of a list.
    pub(super) fn takes_columns(&self) -> bool {
        matches!(self.act, Act::List(_)) && self.words.1 == MANY
    }
}

/// A command that somebody gave.
pub(super) struct Call<'a> {
    pub(super) command: &'a Command,
    pub(super) line: &'a Line,
    pub(super) client: &'a Client,
    /// The names of all commands.
    pub(super) names: fn() -> Vec<&'static str>,
}

impl Call<'_> {
    /// A word behind the command; empty where there is none.
    pub(super) fn word(&self, at: usize) -> &str {
        self.line.words.get(at + 1).map(String::as_str).unwrap_or_default()
    }

    /// All of them from one on.
    pub(super) fn words_from(&self, at: usize) -> &[String] {
        self.line.words.get(at + 1..).unwrap_or_default()
    }

    /// The vhost that is meant.
    pub(super) fn vhost(&self) -> &str {
        self.line.value("vhost").unwrap_or("/")
    }

    /// What stands for a name in braces: a word by its number, `vhost`, `node`, or an option.
    fn named(&self, name: &str) -> String {
        match (name, name.parse::<usize>()) {
            (_, Ok(at)) => self.word(at).to_owned(),
            ("vhost", _) => self.vhost().to_owned(),
            ("node", _) => self.client.server(),
            ("tags", _) => self.words_from(1).join(", "),
            ("priority", _) => self.line.value(name).unwrap_or("0").to_owned(),
            ("user", _) => self.line.value(name).unwrap_or("guest").to_owned(),
            _ => self.line.value(name).unwrap_or_default().to_owned(),
        }
    }

    /// A text with everything in braces as what it stands for.
    pub(super) fn text(&self, template: &str) -> String {
        filled(template, |name| self.named(name))
    }

    /// The same of a path, in which nothing that stands in it means anything.
    pub(super) fn path(&self, template: &str) -> String {
        filled(template, |name| segment(&self.named(name)))
    }

    /// Does what the command does.
    pub(super) fn act(&self) -> Result<Output, Failed> {
        match self.command.act {
            Act::List(list) => self.list(&list),
            Act::Send(request) => self.send(&request),
            Act::Own(act) => act(self),
            Act::Says(text) => Ok(Output::Text(self.text(text))),
            Act::Refuses(reason) => Err(Failed::refused(self.text(reason))),
        }
    }

    /// Has something done that has an answer.
    pub(super) fn ask(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        match self.client.send("POST", path, Some(body))? {
            Sent::Done(answer) => Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
            Sent::Missing(reason) => Err(self.which_is_missing(reason)),
        }
    }

    fn send(&self, request: &Request) -> Result<Output, Failed> {
        let body = request.body.map(|body| body(self)).transpose()?;
        let path = self.path(request.path);
        match self.client.send(request.method, &path, body.as_ref())? {
            Sent::Done(_) => {}
            Sent::Missing(reason) => self.missing(request.missing, reason)?,
        }
        Ok(Output::Nothing)
    }

    fn missing(&self, missing: Missing, reason: String) -> Result<(), Failed> {
        match missing {
            Missing::Fine => Ok(()),
            Missing::Says(text, code) => Err(Failed::Refused(self.text(text), code)),
            Missing::Broker => Err(self.which_is_missing(reason)),
        }
    }

    /// The vhost, or whatever the broker says.
    pub(super) fn which_is_missing(&self, reason: String) -> Failed {
        let vhost = self.vhost();
        match self.client.get(&format!("/vhosts/{}?columns=name", segment(vhost))) {
            Err(failed) if failed.code() == DATA => {
                Failed::Plain(format!("Virtual host '{vhost}' does not exist"), DATA)
            }
            Ok(_) | Err(_) => Failed::Plain(reason, DATA),
        }
    }

    fn list(&self, list: &List) -> Result<Output, Failed> {
        let columns = self.columns(list)?;
        let objects = self.client.get(&self.path(list.path)).map_err(|failed| match failed {
            Failed::Plain(reason, DATA) => self.which_is_missing(reason),
            failed => failed,
        })?;
        let objects = match objects {
            Value::Array(objects) => objects,
            // Some lists come in pages.
            mut page => match page.get_mut("items").map(Value::take) {
                Some(Value::Array(objects)) => objects,
                Some(_) | None => Vec::new(),
            },
        };
        let is_meant = |object: &&Value| {
            !list.of_vhost || object.get("vhost").and_then(Value::as_str) == Some(self.vhost())
        };
        let row = |object: &Value| columns.iter().map(|(_, from)| column(object, from)).collect();
        let rows = objects.iter().filter(is_meant).map(row).collect();
        let columns = columns.into_iter().map(|(name, _)| name.to_owned()).collect();
        Ok(Output::Rows(Rows { columns, rows }))
    }

    fn columns(&self, list: &List) -> Result<Vec<(&'static str, &'static str)>, Failed> {
        let words = self.words_from(0).iter().flat_map(|word| word.split([',', ' ']));
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        if words.is_empty() || !self.command.takes_columns() {
            return Ok(list.columns.iter().take(list.shown).copied().collect());
        }
        let known = |word: &&str| list.columns.iter().find(|(name, _)| name == word).copied();
        let unknown: Vec<_> = words.iter().filter(|word| known(word).is_none()).copied().collect();
        if !unknown.is_empty() {
            let unknown = unknown.join(", ");
            return Err(Failed::usage(format!("Info key(s) {unknown} are not supported")));
        }
        Ok(words.iter().filter_map(known).collect())
    }
}

/// A text with what is in braces replaced.
fn filled(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(&value(name));
        rest = after;
    }
    text + rest
}

/// What an object has for a column: the value at a path of names with points between, as a text of JSON
/// where the path ends in `!`, or always the same where it begins with `=`.
fn column(object: &Value, from: &str) -> Value {
    if let Some(always) = from.strip_prefix('=') {
        return always.into();
    }
    let path = from.trim_end_matches('!');
    let found = path.split('.').try_fold(object, |within, name| within.get(name));
    match found.cloned().unwrap_or_default() {
        Value::Null => Value::Null,
        found if from.ends_with('!') => found.to_string().into(),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_filled() {
        let value = |name: &str| format!("<{name}>");
        assert_eq!(filled("a {0} b{vhost}", value), "a <0> b<vhost>");
        assert_eq!(filled("nothing", value), "nothing");
    }

    #[test]
    fn columns_are_found_by_their_path() {
        let object = json!({"a": {"b": 5}, "d": {"x": [1]}});
        assert_eq!(column(&object, "a.b"), json!(5));
        assert_eq!(column(&object, "d!"), json!("{\"x\":[1]}"));
        assert_eq!(column(&object, "=exchange"), json!("exchange"));
        assert_eq!((column(&object, "a.c"), column(&object, "c!")), (Value::Null, Value::Null));
    }
}
