//! `leveret apply`: makes a broker have what a file says, in YAML or JSON, or says what that would change.
//!
//! A room of `ctl`. The file is a definitions file as RabbitMQ's (`definitions`); YAML is another way to
//! write the same. Stays true: without `--prune` nothing goes; with `--dry-run` nothing changes.

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

use super::commands::Call;
use super::definitions::read;
use super::failure::{DATA, Failed};
use super::show::Output;

pub(super) fn apply(call: &Call<'_>) -> Result<Output, Failed> {
    let given = (call.line.value("file"), call.word(0));
    let ((Some(file), "") | (None, file)) = given else {
        return Err(Failed::usage("too many arguments."));
    };
    if file.is_empty() {
        return Err(Failed::usage(
            "not enough arguments: --file says what is to be applied, - the input",
        ));
    }
    let document = parsed(&read(file)?).map_err(|reason| {
        Failed::Refused(format!("{file} is neither YAML nor JSON: {reason}"), DATA)
    })?;
    let path = match call.line.value("vhost") {
        Some(_) => call.path("/operation/definitions/{vhost}"),
        None => "/operation/definitions".to_owned(),
    };
    let (prune, dry_run) = (call.line.has("prune"), call.line.has("dry-run"));
    let path = format!("{path}?prune={prune}&dry_run={dry_run}");
    let said = call.ask(&path, &document)?;
    let mut lines: Vec<String> = Vec::new();
    for note in said.get("notes").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("! {}", note.as_str().unwrap_or_default()));
    }
    let text = said.get("text").and_then(Value::as_str).unwrap_or_default();
    lines.push(text.to_owned());
    if dry_run {
        lines.push("nothing was changed: this is what would be".to_owned());
    }
    Ok(Output::Document(lines.join("\n"), said))
}

/// A document in JSON, or else in YAML.
fn parsed(bytes: &[u8]) -> Result<Value, String> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    match <[Yaml; 1]>::try_from(documents) {
        Ok([document]) => from_yaml(&document),
        Err(documents) => Err(format!("{} documents in one file", documents.len())),
    }
}

fn from_yaml(yaml: &Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::String(text) => text.as_str().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Real(text) => match yaml.as_f64() {
            Some(number) => number.into(),
            None => text.as_str().into(),
        },
        Yaml::Boolean(flag) => (*flag).into(),
        Yaml::Null => Value::Null,
        Yaml::Array(values) => values.iter().map(from_yaml).collect::<Result<_, _>>()?,
        Yaml::Hash(fields) => {
            let field = |(name, value): (&Yaml, &Yaml)| {
                let name = from_yaml(name)?;
                let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
                Ok::<_, String>((name, from_yaml(value)?))
            };
            Value::Object(fields.iter().map(field).collect::<Result<Map<_, _>, _>>()?)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err("something that nobody can read".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "\
queues:
  - name: orders
    vhost: /
    durable: true
    arguments: {x-queue-type: quorum, x-max-length: 1000}
policies: []
share: 0.5
nothing: ~
";
        let expected = json!({
            "queues": [{
                "name": "orders", "vhost": "/", "durable": true,
                "arguments": {"x-queue-type": "quorum", "x-max-length": 1000}
            }],
            "policies": [], "share": 0.5, "nothing": null
        });
        assert_eq!(parsed(yaml.as_bytes()), Ok(expected.clone()));
        assert_eq!(parsed(expected.to_string().as_bytes()), Ok(expected));
    }

    #[test]
    fn what_is_neither_is_told_in_one_line() {
        for text in ["a: [", "---\na: 1\n---\nb: 2\n", "{\"a\": "] {
            let reason = parsed(text.as_bytes()).unwrap_err();
            assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
        }
        assert!(parsed(b"\xff").is_err());
    }
}
