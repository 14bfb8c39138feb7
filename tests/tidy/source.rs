//! Reads Rust just well enough to count: [`code_of`] blanks comments, strings
//! and characters, so that braces and words that remain are code, and keeps
//! the line breaks, so that line numbers stay true.

use std::iter::Peekable;
use std::str::Chars;

/// The text with comments and the insides of literals taken out.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut previous = ' ';
    while let Some(character) = rest.next() {
        match character {
            '/' if rest.peek() == Some(&'/') => skip_line(&mut rest),
            '/' if rest.peek() == Some(&'*') => skip_block(&mut rest, &mut code),
            '"' => skip_string(&mut rest, &mut code),
            'r' if !is_word(previous) && raw_hashes(&rest).is_some() => {
                let hashes = raw_hashes(&rest).unwrap_or(0);
                skip_raw_string(&mut rest, hashes, &mut code);
            }
            '\'' if opens_character(&rest) => skip_character(&mut rest),
            other => code.push(other),
        }
        // The prefix of b"..." and br"..." is no part of a longer word.
        previous = if character == 'b' && !is_word(previous) { ' ' } else { character };
    }
    code
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Leaves the line break for the caller.
fn skip_line(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|character| *character != '\n').is_some() {}
}

/// Block comments nest.
fn skip_block(rest: &mut Peekable<Chars<'_>>, code: &mut String) {
    rest.next();
    let mut depth = 1;
    while depth > 0 {
        match rest.next() {
            Some('/') if rest.next_if_eq(&'*').is_some() => depth += 1,
            Some('*') if rest.next_if_eq(&'/').is_some() => depth -= 1,
            Some('\n') => code.push('\n'),
            Some(_) => {}
            None => return,
        }
    }
}

fn skip_string(rest: &mut Peekable<Chars<'_>>, code: &mut String) {
    code.push_str("\"\"");
    while let Some(character) = rest.next() {
        match character {
            '\\' => code.extend(rest.next().filter(|escaped| *escaped == '\n')),
            '"' => return,
            '\n' => code.push('\n'),
            _ => {}
        }
    }
}

/// How many `#` stand between the `r` just read and its quote, if it opens a
/// raw string at all.
fn raw_hashes(rest: &Peekable<Chars<'_>>) -> Option<usize> {
    let mut ahead = rest.clone();
    let mut hashes = 0;
    while ahead.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    (ahead.next() == Some('"')).then_some(hashes)
}

fn skip_raw_string(rest: &mut Peekable<Chars<'_>>, hashes: usize, code: &mut String) {
    code.push_str("\"\"");
    for _ in 0..=hashes {
        rest.next();
    }
    while let Some(character) = rest.next() {
        if character == '\n' {
            code.push('\n');
        }
        if character == '"' && (0..hashes).all(|_| rest.next_if_eq(&'#').is_some()) {
            return;
        }
    }
}

/// Tells the character `'a'` from the lifetime `'a`.
fn opens_character(rest: &Peekable<Chars<'_>>) -> bool {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('\\') => true,
        Some(_) => ahead.next() == Some('\''),
        None => false,
    }
}

fn skip_character(rest: &mut Peekable<Chars<'_>>) {
    while let Some(character) = rest.next() {
        match character {
            '\\' => {
                rest.next();
            }
            '\'' => return,
            _ => {}
        }
    }
}

/// A part of the code between braces, by line numbers counted from one.
pub(crate) struct Block {
    /// The line where its head starts.
    pub(crate) first: usize,
    /// The line of its closing brace.
    pub(crate) last: usize,
}

/// The block whose head starts at byte `head` of `code`; `None` if a `;` comes
/// before its brace, as in a declaration without a body.
pub(crate) fn block_at(code: &str, head: usize) -> Option<Block> {
    let first = 1 + code.get(..head)?.matches('\n').count();
    let (mut line, mut braces, mut nested) = (first, 0_usize, 0_usize);
    for character in code.get(head..)?.chars() {
        match character {
            '\n' => line += 1,
            '(' | '[' if braces == 0 => nested += 1,
            ')' | ']' if braces == 0 => nested = nested.saturating_sub(1),
            ';' if braces == 0 && nested == 0 => return None,
            '{' if nested == 0 => braces += 1,
            '}' if nested == 0 => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(Block { first, last: line });
                }
            }
            _ => {}
        }
    }
    None
}

/// The blocks under `#[cfg(test)]`.
pub(crate) fn test_blocks(code: &str) -> Vec<Block> {
    const MARK: &str = "#[cfg(test)]";
    code.match_indices(MARK).filter_map(|(at, mark)| block_at(code, at + mark.len())).collect()
}

/// Whether `line` is in one of the blocks.
pub(crate) fn within(blocks: &[Block], line: usize) -> bool {
    blocks.iter().any(|block| (block.first..=block.last).contains(&line))
}

#[test]
fn literals_and_comments_are_not_code() {
    let text = r##"fn a<'x>() { let b = '{'; // }
        let c = "}\"}"; /* } /* } */ } */ let d = r#"}"}"#; let e = b"}"; let f = br"}\";
    }"##;
    let code = code_of(text);
    assert_eq!(code.matches('{').count(), 1, "{code}");
    assert_eq!(code.matches('}').count(), 1, "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(code.contains("<'x>"), "a lifetime is code: {code}");
}

#[test]
fn a_block_ends_with_its_brace() {
    let code = "fn none();\nfn one(a: [u8; 2]) {\n if x {\n }\n}\nfn two() {}\n";
    assert!(block_at(code, 0).is_none());
    let one = block_at(code, code.find("fn one").expect("it is there")).expect("a block");
    assert_eq!((one.first, one.last), (2, 5));
}
