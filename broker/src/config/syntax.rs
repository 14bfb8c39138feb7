//! The syntax of rabbitmq.conf: `key = value` lines and `#` comments.
//!
//! A key is made of segments between dots; `\.` is a dot inside a segment. A
//! value ends at a `#` or at the end of the line, unless it stands in single
//! quotes, which keep everything between them as it is. In a value without
//! quotes `$(NAME)` stands for an environment variable. Double quotes mean
//! nothing. See <https://www.rabbitmq.com/docs/configure#config-file-formats>.

/// One `key = value` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) path: Vec<String>,
    pub(super) value: String,
}

/// A line that is not a setting, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) number: usize,
    pub(super) detail: String,
}

/// Reads every setting of a file, in order, up to the first line that is none.
pub(super) fn parse(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Line>, SyntaxError> {
    lines(text, environment).collect()
}

/// Every setting of a file, in order, and what is wrong with the lines that are none.
pub(super) fn lines(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> impl Iterator<Item = Result<Line, SyntaxError>> {
    // Some editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().enumerate().filter_map(move |(index, line)| {
        let number = index + 1;
        match setting(line.trim(), environment) {
            Ok(setting) => setting.map(|(path, value)| Ok(Line { number, path, value })),
            Err(detail) => Some(Err(SyntaxError { number, detail })),
        }
    })
}

/// The segments of a key.
pub(super) fn split_key(key: &str) -> Result<Vec<String>, String> {
    let mut segments = vec![String::new()];
    let mut characters = key.chars().peekable();
    while let Some(character) = characters.next() {
        let segment = match (character, characters.peek()) {
            ('\\', Some('.')) => {
                characters.next();
                '.'
            }
            ('.', _) => {
                segments.push(String::new());
                continue;
            }
            (character, _) if character.is_whitespace() => {
                return Err(format!("key '{key}' has a space in it"));
            }
            (character, _) => character,
        };
        if let Some(last) = segments.last_mut() {
            last.push(segment);
        }
    }
    if segments.iter().any(String::is_empty) {
        return Err(format!("key '{key}' has an empty segment"));
    }
    Ok(segments)
}

type Setting = (Vec<String>, String);

fn setting(
    line: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Setting>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.starts_with('[') || line.ends_with("].") {
        return Err("this is not 'key = value'; Erlang terms and sections are not read".to_owned());
    }
    let (key, value) = line.split_once('=').ok_or("expected 'key = value'")?;
    let path = split_key(key.trim())?;
    let value = value.trim_start();
    let value = match quoted(value)? {
        Some(value) => value.to_owned(),
        None => interpolate(unquoted(value), environment)?,
    };
    Ok(Some((path, value)))
}

/// What stands between single quotes, if the value starts with one and another
/// follows; `None` if it is a plain value.
fn quoted(value: &str) -> Result<Option<&str>, String> {
    let Some((inside, rest)) = value.strip_prefix('\'').and_then(|rest| rest.split_once('\''))
    else {
        return Ok(None);
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(Some(inside))
    } else {
        Err("text after the closing quote".to_owned())
    }
}

fn unquoted(value: &str) -> &str {
    value.split_once('#').map_or(value, |(before, _)| before).trim_end()
}

fn interpolate(
    value: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    if value.is_empty() {
        return Err("no value; write '' for an empty one".to_owned());
    }
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("$(") {
        let (name, after) = after.split_once(')').ok_or("'$(' without ')'")?;
        let content =
            environment(name).ok_or_else(|| format!("environment variable {name} is not set"))?;
        result.push_str(before);
        result.push_str(&content);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<(String, String), String> {
        let environment = |name: &str| (name == "SECRET").then(|| "s#1".to_owned());
        let lines = parse(line, &environment).map_err(|error| error.detail)?;
        let [line] = <[Line; 1]>::try_from(lines).map_err(|lines| format!("{lines:?}"))?;
        Ok((line.path.join("|"), line.value))
    }

    #[test]
    fn lines_read_as_rabbitmq_reads_them() {
        for (line, key, value) in [
            ("a = b", "a", "b"),
            ("a=b", "a", "b"),
            ("  a.b-c_1 = x y  ", "a|b-c_1", "x y"),
            ("a = x # y", "a", "x"),
            ("a = x#y", "a", "x"),
            ("a = \"x y\"", "a", "\"x y\""),
            ("a = it's", "a", "it's"),
            ("a = 'x", "a", "'x"),
            ("a.b\\.c = d", "a|b.c", "d"),
            ("a = b\r", "a", "b"),
            ("a = b = c", "a", "b = c"),
            ("\u{feff}a = b", "a", "b"),
            // Quotes came after 3.10.
            ("a = 'x # y' # z", "a", "x # y"),
            ("a = ''", "a", ""),
            ("a = '$(SECRET)'", "a", "$(SECRET)"),
            ("a = <$(SECRET)>", "a", "<s#1>"),
        ] {
            assert_eq!(one(line), Ok((key.to_owned(), value.to_owned())), "{line}");
        }
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for (line, detail) in [
            ("a", "expected 'key = value'"),
            ("a =", "no value"),
            ("a = # b", "no value"),
            ("= b", "empty segment"),
            ("a..b = c", "empty segment"),
            ("a b = c", "space"),
            ("[a]", "Erlang terms"),
            ("[{rabbit, [{x, 1}]}].", "Erlang terms"),
            ("a = 'b' c", "after the closing quote"),
            ("a = $(MISSING)", "MISSING is not set"),
            ("a = $(SECRET", "without ')'"),
        ] {
            let error = one(line).unwrap_err();
            assert!(error.contains(detail), "{line}: {error}");
        }
    }

    #[test]
    fn comments_and_empty_lines_count_as_lines() {
        let lines = parse("# one\n\n   ## three\na = 1\n\nb = 2\nc", &|_| None);
        assert_eq!(
            lines,
            Err(SyntaxError { number: 7, detail: "expected 'key = value'".to_owned() })
        );
        let lines = parse("# one\n\na = 1\n\nb = 2\n", &|_| None).unwrap();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 5]);
    }
}
