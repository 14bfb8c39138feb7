//! Forms with files (RFC 7578): how pages upload definitions.
//!
//! Called by `definitions`. Pure. Stays true: what is no such form is none, and nothing is copied.

/// What a form says, if it is one: the fields by their names.
pub(super) fn fields<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<(String, &'a [u8])>> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("--{boundary}");
    let mut found = Vec::new();
    let mut rest = body.get(find(body, delimiter.as_bytes())? + delimiter.len()..)?;
    loop {
        if rest.starts_with(b"--") {
            return Some(found);
        }
        let end = find(rest, delimiter.as_bytes())?;
        let part = rest.get(..end)?;
        found.extend(field(part));
        rest = rest.get(end + delimiter.len()..)?;
    }
}

/// Whether a body is such a form.
pub(super) fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("multipart/form-data")
}

fn boundary(content_type: &str) -> Option<&str> {
    let parameters = content_type.split(';').skip(1).filter_map(|part| part.split_once('='));
    let (_, value) = parameters
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
        .find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    (!value.is_empty()).then_some(value)
}

/// A part: its head, an empty line, and what the field says.
fn field(part: &[u8]) -> Option<(String, &[u8])> {
    const EMPTY: &[u8] = b"\r\n\r\n";
    let at = find(part, EMPTY)?;
    let head = str::from_utf8(part.get(..at)?).ok()?;
    let value = part.get(at + EMPTY.len()..)?;
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let line =
        head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let mut parameters = line.split(';').skip(1).filter_map(|part| part.trim().split_once('='));
    let (_, name) = parameters.find(|(name, _)| *name == "name")?;
    Some((name.trim_matches('"').to_owned(), value))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x-y\"";
    const FORM: &str = "preamble\r\n--x-y\r\nContent-Disposition: form-data; name=\"file\"; \
                        filename=\"a.json\"\r\nContent-Type: application/json\r\n\r\n{\"a\": \r\n1}\
                        \r\n--x-y\r\ncontent-disposition: form-data; name=redirect\r\n\r\n../#/\
                        \r\n--x-y--\r\n";

    #[test]
    fn fields_are_found_with_what_they_say() {
        assert!(is_form(TYPE) && is_form("Multipart/Form-Data") && !is_form("application/json"));
        let found = fields(TYPE, FORM.as_bytes()).unwrap();
        let expected: [(String, &[u8]); 2] =
            [("file".to_owned(), b"{\"a\": \r\n1}"), ("redirect".to_owned(), b"../#/")];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_cut_or_no_form_is_none() {
        for at in 0..FORM.len() - 4 {
            assert_eq!(fields(TYPE, &FORM.as_bytes()[..at]), None, "{at}");
        }
        assert_eq!(fields("multipart/form-data", FORM.as_bytes()), None);
        assert_eq!(fields(TYPE, b"--x-y--"), Some(Vec::new()));
    }
}
