//! Cuts code into words and signs, and takes out what is compiled for tests
//! only. Called by [`super::declarations`] with code whose comments and
//! literals [`crate::source::code_of`] has blanked.

/// A word, `::`, or a single sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// As it is written; `$crate` is `crate`.
    pub(super) text: &'a str,
    /// Counted from one.
    pub(super) line: usize,
}

/// Words that open an item, and so end with their block or with a `;`.
const ITEMS: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "union",
    "impl",
    "mod",
    "use",
    "const",
    "static",
    "type",
    "trait",
    "unsafe",
    "async",
    "extern",
    "macro_rules",
    "let",
];
/// Items whose braces are not their end.
const UNTIL_SEMICOLON: &[&str] = &["use", "const", "static", "type", "let"];

/// Cuts `code` into tokens.
pub(super) fn tokens(code: &str) -> Vec<Token<'_>> {
    let (mut found, mut line, mut rest) = (Vec::new(), 1, code);
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        let (text, after) = rest.split_at(length);
        if !first.is_whitespace() {
            found.push(Token { text: if text == "$crate" { "crate" } else { text }, line });
        }
        line += usize::from(first == '\n');
        rest = after;
    }
    found
}

fn token_length(rest: &str, first: char) -> usize {
    let word = |text: &str| text.find(|it: char| !is_word(it)).unwrap_or(text.len());
    match first {
        '$' => 1 + rest.get(1..).map_or(0, word),
        _ if is_word(first) => word(rest),
        ':' if rest.starts_with("::") => 2,
        other => other.len_utf8(),
    }
}

/// Whether a letter, a digit or an underscore.
pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The tokens without attributes, and without what stands under `#[cfg(test)]`.
pub(super) fn production<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        let Some((attribute, behind)) = attribute(rest) else {
            kept.push(*first);
            rest = after;
            continue;
        };
        if !is_for_tests(attribute) {
            rest = behind;
        } else if attribute.get(1).is_some_and(|it| it.text == "!") {
            return Vec::new();
        } else {
            rest = behind.get(item_length(behind)..).unwrap_or_default();
        }
    }
    kept
}

/// Splits off `#[...]` or `#![...]` if the tokens begin with one.
fn attribute<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(&'t [Token<'a>], &'t [Token<'a>])> {
    if tokens.first()?.text != "#" {
        return None;
    }
    let open = 1 + usize::from(tokens.get(1)?.text == "!");
    if tokens.get(open)?.text != "[" {
        return None;
    }
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "[" => depth += 1,
            "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return tokens.split_at_checked(at + 1);
        }
    }
    None
}

/// `cfg(test)` and `cfg(all(test, ...))`, but not `cfg(not(test))`.
fn is_for_tests(attribute: &[Token<'_>]) -> bool {
    let words: Vec<&str> = attribute.iter().map(|token| token.text).collect();
    let is_cfg = words.iter().find(|word| word.starts_with(is_word)) == Some(&"cfg");
    is_cfg
        && words.contains(&"test")
        && !words.windows(3).any(|three| three == ["not", "(", "test"])
}

/// How many tokens the item, field or statement at the front takes.
fn item_length(tokens: &[Token<'_>]) -> usize {
    if let Some((attribute, behind)) = attribute(tokens) {
        return attribute.len() + item_length(behind);
    }
    let keyword = item_keyword(tokens);
    let until_semicolon = keyword.is_some_and(|word| UNTIL_SEMICOLON.contains(&word));
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return at,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 && !until_semicolon {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && keyword.is_none() => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The word that says what kind of item begins here, behind its visibility.
fn item_keyword<'a>(tokens: &[Token<'a>]) -> Option<&'a str> {
    let mut words = tokens.iter().map(|token| token.text);
    let mut word = words.next()?;
    if word == "pub" {
        word = words.next()?;
        if word == "(" {
            word = words.by_ref().skip_while(|it| *it != ")").nth(1)?;
        }
    }
    // `const fn` has a body of its own, like `fn`.
    match (word, words.next()) {
        ("const", Some("fn" | "unsafe" | "async")) => Some("fn"),
        _ => ITEMS.contains(&word).then_some(word),
    }
}

#[test]
fn what_is_for_tests_is_left_out() {
    let code = "use a::b; #[cfg(test)] use c::{d, e}; #[cfg(test)] mod tests { fn f() {} } \
        #[derive(G)] struct H<T, U> { #[cfg(test)] i: T, j: U } \
        #[cfg(test)] pub(in crate::k) const fn l<T, U>() -> u8 { 1 } \
        fn m() { #[cfg(test)] n::o(); #[cfg(not(test))] p::q(); } #[cfg(test)] mod r; mod s;";
    let left: Vec<&str> = production(&tokens(code)).iter().map(|token| token.text).collect();
    let wanted = "use a :: b ; struct H < T , U > { j : U } fn m ( ) { p :: q ( ) ; } mod s ;";
    assert_eq!(left.join(" "), wanted);
    assert!(production(&tokens("#![cfg(test)] use a::b;")).is_empty(), "a whole file");
}
