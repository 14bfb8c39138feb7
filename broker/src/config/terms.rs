//! Erlang terms, as RabbitMQ's older configuration files and `enabled_plugins` have them: from text to
//! values, pure.
//!
//! `advanced` and `plugins` read them. Stays true: whatever the text is, reading ends with terms or one
//! mistake and its line, and nesting is bounded. See <https://www.rabbitmq.com/docs/configure>.

use super::syntax::SyntaxError;

/// How deep terms may be in one another: files have five levels or so.
const DEPTH_MAX: usize = 32;

/// A term, as far as configurations have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    /// `debug`, `'PLAIN'`.
    Atom(String),
    /// `"text"` or `<<"text">>`.
    Text(String),
    /// As it is written, in decimals.
    Number(String),
    /// `[…]`.
    List(Vec<Self>),
    /// `{…}`, and the line where it begins, counted from 1.
    Tuple(usize, Vec<Self>),
}

impl Term {
    /// What a setting's value would be, if the term is no list and no tuple.
    pub(super) fn scalar(&self) -> Option<&str> {
        match self {
            Self::Atom(text) | Self::Text(text) | Self::Number(text) => Some(text),
            Self::List(_) | Self::Tuple(..) => None,
        }
    }

    /// A tuple of two whose first is an atom: its line, the atom, and the second.
    pub(super) fn pair(&self) -> Option<(usize, &str, &Self)> {
        match self {
            Self::Tuple(line, elements) => match elements.as_slice() {
                [Self::Atom(key), value] => Some((*line, key, value)),
                _ => None,
            },
            Self::Atom(_) | Self::Text(_) | Self::Number(_) | Self::List(_) => None,
        }
    }
}

/// Reads a file: one term and a full stop. `None` if there is nothing in it.
pub(super) fn file(text: &str) -> Result<Option<Term>, SyntaxError> {
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    reader.skip_blanks();
    if reader.rest.is_empty() {
        return Ok(None);
    }
    let term = reader.term(0)?;
    reader.expect('.')?;
    reader.skip_blanks();
    match reader.rest.is_empty() {
        true => Ok(Some(term)),
        false => Err(reader.mistake("expected nothing behind the first term")),
    }
}

/// Reads one term and nothing else.
pub(super) fn term(text: &str) -> Result<Term, SyntaxError> {
    let mut reader = Reader { rest: text, line: 1 };
    let term = reader.term(0)?;
    reader.skip_blanks();
    match reader.rest.is_empty() {
        true => Ok(term),
        false => Err(reader.mistake("expected one term")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn mistake(&self, detail: &str) -> SyntaxError {
        SyntaxError { number: self.line, detail: detail.to_owned() }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next()?;
        self.rest = characters.as_str();
        self.line += usize::from(character == '\n');
        Some(character)
    }

    fn take(&mut self, wanted: &str) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Everything up to the first character that is not meant.
    fn take_while(&mut self, is_meant: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !is_meant(character)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    /// Blanks and comments.
    fn skip_blanks(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if !self.rest.starts_with('%') {
                return;
            }
            self.take_while(|character| character != '\n');
        }
    }

    fn expect(&mut self, character: char) -> Result<(), SyntaxError> {
        self.skip_blanks();
        match self.rest.starts_with(character) {
            true => {
                self.next();
                Ok(())
            }
            false => Err(self.mistake(&format!("expected '{character}'"))),
        }
    }

    fn term(&mut self, depth: usize) -> Result<Term, SyntaxError> {
        if depth > DEPTH_MAX {
            return Err(self.mistake("terms are too deep in one another"));
        }
        self.skip_blanks();
        let line = self.line;
        if self.take("<<") {
            return self.binary();
        }
        let Some(first) = self.rest.chars().next() else {
            return Err(self.mistake("expected a term, found the end"));
        };
        match first {
            '[' => {
                self.next();
                self.elements(']', depth).map(Term::List)
            }
            '{' => {
                self.next();
                self.elements('}', depth).map(|elements| Term::Tuple(line, elements))
            }
            '"' => self.quoted('"').map(Term::Text),
            '\'' => self.quoted('\'').map(Term::Atom),
            '-' | '+' | '0'..='9' => self.number(),
            'a'..='z' => Ok(Term::Atom(self.take_while(is_of_atoms).to_owned())),
            _ => Err(self.mistake("expected a term: a list, a tuple, an atom, a text or a number")),
        }
    }

    fn elements(&mut self, end: char, depth: usize) -> Result<Vec<Term>, SyntaxError> {
        let mut elements = Vec::new();
        self.skip_blanks();
        if self.rest.starts_with(end) {
            self.next();
            return Ok(elements);
        }
        loop {
            elements.push(self.term(depth + 1)?);
            self.skip_blanks();
            match self.next() {
                Some(',') => {}
                Some(found) if found == end => return Ok(elements),
                _ => return Err(self.mistake(&format!("expected ',' or '{end}'"))),
            }
        }
    }

    /// Behind `<<`: a text, or nothing.
    fn binary(&mut self) -> Result<Term, SyntaxError> {
        self.skip_blanks();
        let text = match self.rest.starts_with('"') {
            true => self.quoted('"')?,
            false => String::new(),
        };
        self.take_while(char::is_whitespace);
        let _ = self.take("/utf8");
        self.skip_blanks();
        match self.take(">>") {
            true => Ok(Term::Text(text)),
            false => Err(self.mistake("expected '>>'")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let unfinished = self.mistake(&format!("there is no {quote} at the end of this text"));
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(unfinished),
                Some(character) if character == quote => return Ok(text),
                Some('\\') => match self.next() {
                    None => return Err(unfinished),
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('s') => text.push(' '),
                    Some(itself) => text.push(itself),
                },
                Some(character) => text.push(character),
            }
        }
    }

    /// `5672`, `-1`, `0.4`, `1.0e3`, `16#ff`, `1_000`.
    fn number(&mut self) -> Result<Term, SyntaxError> {
        let wrong = self.mistake("this is no number");
        let sign = if self.take("-") { "-" } else { "" };
        let _ = self.take("+");
        let digits = self.take_while(|c| c.is_ascii_digit() || c == '_').replace('_', "");
        if self.take("#") {
            let digits_of_base = self.take_while(|c| c.is_ascii_alphanumeric());
            let base = digits.parse().ok().filter(|base| (2..=36).contains(base)).ok_or(wrong)?;
            let wrong = self.mistake("this is no number of its base");
            let number = i64::from_str_radix(digits_of_base, base).map_err(|_| wrong)?;
            return Ok(Term::Number(format!("{sign}{number}")));
        }
        // A full stop that ends the file is none of a number.
        let has_fraction = self
            .rest
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|character: char| character.is_ascii_digit()));
        let mut text = format!("{sign}{digits}");
        if has_fraction {
            text.push_str(
                self.take_while(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
                    .trim_end_matches('.'),
            );
        }
        match text.parse::<f64>().is_ok() {
            true => Ok(Term::Number(text)),
            false => Err(wrong),
        }
    }
}

fn is_of_atoms(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '@'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(text: &str) -> Term {
        Term::Atom(text.to_owned())
    }

    fn number(text: &str) -> Term {
        Term::Number(text.to_owned())
    }

    fn text(text: &str) -> Term {
        Term::Text(text.to_owned())
    }

    #[test]
    fn terms_are_read() {
        for (source, expected) in [
            ("debug", atom("debug")),
            ("'PLAIN'", atom("PLAIN")),
            ("rabbit@host_1", atom("rabbit@host_1")),
            (r#""a \"b\"\\""#, text("a \"b\"\\")),
            (r#"<<"guest">>"#, text("guest")),
            (r#"<< "é"/utf8 >>"#, text("é")),
            ("<<>>", text("")),
            ("5672", number("5672")),
            ("-1", number("-1")),
            ("0.4", number("0.4")),
            ("1.5e3", number("1.5e3")),
            ("16#ff", number("255")),
            ("1_000", number("1000")),
            ("[]", Term::List(vec![])),
            (" [ a , 'b' ] % c", Term::List(vec![atom("a"), atom("b")])),
            ("{a, [1]}", Term::Tuple(1, vec![atom("a"), Term::List(vec![number("1")])])),
        ] {
            assert_eq!(term(source), Ok(expected), "{source}");
        }
    }

    #[test]
    fn a_file_is_a_term_and_a_full_stop() {
        let read = file("%% old\n[\n {rabbit, [{heartbeat, 5}]}\n].\n").unwrap().unwrap();
        let Term::List(apps) = read else { panic!("{read:?}") };
        let (line, app, settings) = apps.first().and_then(Term::pair).unwrap();
        assert_eq!((line, app), (3, "rabbit"));
        let Term::List(settings) = settings else { panic!("{settings:?}") };
        let (line, key, value) = settings.first().and_then(Term::pair).unwrap();
        assert_eq!((line, key, value.scalar()), (3, "heartbeat", Some("5")));
        assert_eq!(file(" % nothing\n"), Ok(None));
        assert_eq!(file("[1].").unwrap(), Some(Term::List(vec![number("1")])));
    }

    #[test]
    fn a_mistake_has_its_line() {
        let deep = "[".repeat(100);
        for (source, line, detail) in [
            ("[a", 1, "expected ',' or ']'"),
            ("[\n{a, }]", 2, "expected a term"),
            ("[]", 1, "expected '.'"),
            ("[]. []", 1, "nothing behind"),
            ("\n\"abc", 2, "no \" at the end"),
            ("<<1>>.", 1, "expected '>>'"),
            ("[\n\n99#1].", 3, "no number"),
            ("#{}.", 1, "expected a term"),
            (&deep, 1, "too deep"),
        ] {
            let error = file(source).unwrap_err();
            assert!(error.number == line && error.detail.contains(detail), "{source}: {error:?}");
        }
    }
}
