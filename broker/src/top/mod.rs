//! `leveret top`: a broker at a glance, again and again: what goes through it, its busiest queues, and the
//! connections that are held back.
//!
//! Called by `main`. `picture` makes lines of what the API says, `terminal` is the screen and the keys.
//! Stays true: a look costs the broker a page of queues and a page of connections, however many there are;
//! without a terminal it is one table; the terminal is given back as it was.

mod picture;
mod terminal;

use std::io::IsTerminal;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use self::picture::{Look, Size, View, lines};
use self::terminal::{Key, Terminal};
use crate::ctl::client::{Client, segment};
use crate::ctl::failure::Failed;
use crate::ctl::fields::{list, text};
use crate::ctl::whom::Whom;

/// Queues that are looked at: more fit on no screen.
const QUEUES_MAX: usize = 200;
/// Connections that are looked at, those that are held first.
const CONNECTIONS_MAX: usize = 50;
/// Connections whose reasons are asked for.
const REASONS_MAX: usize = 5;

/// What queues are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// How many messages they have
    #[default]
    Messages,
    /// How many wait for a consumer
    Ready,
    /// How many consumers have and did not acknowledge
    Unacked,
    /// How many come in a second
    In,
    /// How many go out in a second
    Out,
    /// Their names
    Name,
}

impl Order {
    /// All of them, with the key, the word and the member that is sorted by.
    const ALL: [(Self, char, &'static str, &'static str); 6] = [
        (Self::Messages, 'm', "messages", "messages"),
        (Self::Ready, 'r', "ready", "messages_ready"),
        (Self::Unacked, 'u', "unacked", "messages_unacknowledged"),
        (Self::In, 'i', "in/s", "message_stats.publish_details.rate"),
        (Self::Out, 'o', "out/s", "message_stats.deliver_get_details.rate"),
        (Self::Name, 'n', "name", "name"),
    ];

    fn place(self) -> usize {
        Self::ALL.iter().position(|(order, ..)| *order == self).unwrap_or_default()
    }

    fn word(self) -> &'static str {
        Self::ALL.get(self.place()).map_or("", |(_, _, word, _)| word)
    }

    fn member(self) -> &'static str {
        Self::ALL.get(self.place()).map_or("", |(.., member)| member)
    }

    fn next(self) -> Self {
        Self::ALL.get(self.place() + 1).map_or(Self::Messages, |(order, ..)| *order)
    }

    fn of_key(letter: char) -> Option<Self> {
        Self::ALL.iter().find(|(_, key, ..)| *key == letter).map(|(order, ..)| *order)
    }
}

/// How it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Keys: q ends it; m, r, u, i, o, n sort by messages, ready, unacked, in, out, name, \
                        s by the next; / filters by a part of the name; space waits."
)]
pub struct TopArguments {
    /// What queues are sorted by
    #[arg(long, value_enum, default_value = "messages")]
    sort: Order,
    /// Only queues with this in their names
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// How often it looks
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    /// Look once, and print a table
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    whom: Whom,
}

/// Looks until somebody has seen enough.
///
/// # Errors
/// The broker cannot be reached, or does not tell. One line.
#[expect(clippy::print_stdout, reason = "the table is what was asked for")]
pub fn run(
    asked: &TopArguments,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(), String> {
    let client = asked.whom.client(environment).map_err(said)?;
    let mut view = View { order: asked.sort, filter: asked.filter.clone(), ..View::default() };
    if asked.once || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let looked = look(&client, &view).map_err(said)?;
        println!("{}", lines(&looked, &view, Size::PAPER).join("\n"));
        return Ok(());
    }
    watch(&client, &mut view, Duration::from_secs(asked.interval))
}

fn said(failed: Failed) -> String {
    match failed {
        Failed::Usage(text, _) | Failed::Refused(text, _) | Failed::Plain(text, _) => text,
    }
}

fn watch(client: &Client, view: &mut View, every: Duration) -> Result<(), String> {
    // Before the screen is taken: whoever cannot be reached is told of as usual.
    let mut looked = look(client, view).map_err(said)?;
    let gone = |error: std::io::Error| format!("the terminal cannot be used: {error}");
    let terminal = Terminal::take().map_err(gone)?;
    loop {
        terminal.draw(&lines(&looked, view, terminal.size())).map_err(gone)?;
        match react(view, terminal.key(every).map_err(gone)?) {
            Then::End => return Ok(()),
            Then::Draw => {}
            Then::Look => match look(client, view) {
                Ok(now) => looked = now,
                Err(failed) => looked.trouble = Some(said(failed)),
            },
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Then {
    End,
    /// Nothing is to be asked.
    Draw,
    Look,
}

/// What a key does; none is that the time has come.
fn react(view: &mut View, key: Option<Key>) -> Then {
    let Some(key) = key else {
        return if view.is_paused { Then::Draw } else { Then::Look };
    };
    if key == Key::Interrupt {
        return Then::End;
    }
    if view.typed.is_some() {
        return type_on(view, key);
    }
    match key {
        Key::Letter('q') => Then::End,
        Key::Letter('/') => {
            view.typed = Some(view.filter.clone());
            Then::Draw
        }
        Key::Letter(' ') => {
            view.is_paused = !view.is_paused;
            Then::Draw
        }
        Key::Escape => {
            view.filter.clear();
            Then::Look
        }
        Key::Letter('s') => {
            view.order = view.order.next();
            Then::Look
        }
        Key::Letter(letter) => match Order::of_key(letter) {
            Some(order) => {
                view.order = order;
                Then::Look
            }
            None => Then::Draw,
        },
        Key::Back | Key::Enter | Key::Interrupt => Then::Draw,
    }
}

/// A key while a filter is typed.
fn type_on(view: &mut View, key: Key) -> Then {
    let mut typed = view.typed.take().unwrap_or_default();
    match key {
        Key::Letter(letter) => typed.push(letter),
        Key::Back => drop(typed.pop()),
        Key::Enter => {
            view.filter = typed;
            return Then::Look;
        }
        Key::Escape | Key::Interrupt => return Then::Draw,
    }
    view.typed = Some(typed);
    Then::Draw
}

/// Asks for all that is shown.
fn look(client: &Client, view: &View) -> Result<Look, Failed> {
    let overview = client.get("/overview")?;
    // Who may see no nodes sees the rest.
    let nodes = client.get("/nodes").unwrap_or_default();
    let node = nodes.as_array().and_then(|nodes| nodes.first()).cloned().unwrap_or_default();
    let columns = "name,vhost,type,messages_ready,messages_unacknowledged,consumers,message_stats";
    let path = format!(
        "/queues?page=1&page_size={QUEUES_MAX}&sort={}&sort_reverse={}&name={}&use_regex=false&columns={columns}",
        view.order.member(),
        view.order != Order::Name,
        segment(&view.filter),
    );
    let queues = client.get(&path)?;
    let columns = "name,user,vhost,state,held_by";
    let path =
        format!("/connections?page=1&page_size={CONNECTIONS_MAX}&sort=state&columns={columns}");
    let connections = client.get(&path)?;
    // `running` is the last by the alphabet.
    let held = list(&connections, "items").iter().filter(|one| text(one, "state") != "running");
    let mut held: Vec<(Value, String)> = held.map(|one| (one.clone(), String::new())).collect();
    for (connection, reason) in held.iter_mut().take(REASONS_MAX) {
        let path = format!("/connections/{}/why", segment(text(connection, "name")));
        if let Ok(why) = client.get(&path) {
            text(&why, "text").clone_into(reason);
        }
    }
    Ok(Look { overview, node, queues: list(&queues, "items").to_vec(), held, trouble: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_filter_wait_and_end() {
        let mut view = View::default();
        assert_eq!(react(&mut view, None), Then::Look);
        assert_eq!(react(&mut view, Some(Key::Letter('i'))), Then::Look);
        assert_eq!(view.order, Order::In);
        assert_eq!(react(&mut view, Some(Key::Letter('s'))), Then::Look);
        assert_eq!(view.order, Order::Out);
        for letter in "/qx".chars() {
            assert_eq!(react(&mut view, Some(Key::Letter(letter))), Then::Draw);
        }
        assert_eq!(react(&mut view, Some(Key::Back)), Then::Draw);
        assert_eq!(react(&mut view, Some(Key::Enter)), Then::Look);
        assert_eq!((view.filter.as_str(), &view.typed), ("q", &None));
        assert_eq!(react(&mut view, Some(Key::Escape)), Then::Look);
        assert_eq!(view.filter, "");
        assert_eq!(react(&mut view, Some(Key::Letter(' '))), Then::Draw);
        assert_eq!(react(&mut view, None), Then::Draw, "it waits");
        assert_eq!(react(&mut view, Some(Key::Letter('q'))), Then::End);
        assert_eq!(react(&mut view, Some(Key::Interrupt)), Then::End);
    }
}
