//! `application/x-www-form-urlencoded`: names and values as forms and queries have them.
//!
//! Written by whoever asks a server something. Stays true: whatever a value has in it, it stays one value.

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Form(String);

impl Form {
    /// Adds a value of this name, which needs no encoding.
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        for byte in value {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    self.0.push(char::from(*byte));
                }
                b' ' => self.0.push('+'),
                other => self.0.push_str(&format!("%{other:02X}")),
            }
        }
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        let mut form = Form::default();
        form.add("a", b"b&c=d e");
        form.add("f", "\u{e9}/~".as_bytes());
        assert_eq!(form.into_text(), "a=b%26c%3Dd+e&f=%C3%A9%2F~");
    }
}
