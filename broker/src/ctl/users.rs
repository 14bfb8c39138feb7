//! Commands over users, vhosts and their limits that are more than one question.
//!
//! A room of `ctl`. Stays true: what a command does not speak of stays as it is, though the API sets a
//! user as a whole.

use std::io::BufRead;

use serde_json::{Map, Value, json};

use super::bodies::parsed;
use super::client::{Sent, segment};
use super::commands::Call;
use super::failure::{DATA, Failed, NO_USER, SOFTWARE, UNAVAILABLE};
use super::show::{Output, Rows};
use crate::password::{self, HashingAlgorithm};

type Done = Result<Output, Failed>;

/// A password that was typed, or that comes as the first line of the input.
fn password(call: &Call<'_>, at: usize) -> Result<String, Failed> {
    if !call.words_from(at).is_empty() {
        return Ok(call.word(at).to_owned());
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failed::refused(error.to_string()))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn no_user(name: &str) -> Failed {
    Failed::Refused(format!("User {name} does not exist"), NO_USER)
}

/// The user that the first word names.
fn user(call: &Call<'_>) -> Result<Option<Value>, Failed> {
    match call.client.get(&call.path("/users/{0}")) {
        Ok(user) => Ok(Some(user)),
        Err(Failed::Plain(_, DATA)) => Ok(None),
        Err(failed) => Err(failed),
    }
}

fn known_user(call: &Call<'_>) -> Result<Value, Failed> {
    user(call)?.ok_or_else(|| no_user(call.word(0)))
}

fn put_user(call: &Call<'_>, user: &Value) -> Result<(), Failed> {
    call.client.send("PUT", &call.path("/users/{0}"), Some(user)).map(drop)
}

fn credential(call: &Call<'_>) -> Result<(&'static str, String), Failed> {
    let given = password(call, 1)?;
    let is_hash = call.line.has("pre-hashed-password");
    Ok((if is_hash { "password_hash" } else { "password" }, given))
}

pub(super) fn add_user(call: &Call<'_>) -> Done {
    if user(call)?.is_some() {
        let text = format!("User \"{}\" already exists", call.word(0));
        return Err(Failed::Refused(text, SOFTWARE));
    }
    let (member, given) = credential(call)?;
    if given.is_empty() {
        return Err(Failed::Plain("Password cannot be empty or blank".to_owned(), DATA));
    }
    put_user(call, &json!({member: given, "tags": ""}))?;
    Ok(Output::Text(
        "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help \
         set_permissions' to learn more."
            .to_owned(),
    ))
}

pub(super) fn change_password(call: &Call<'_>) -> Done {
    let user = known_user(call)?;
    let (member, given) = credential(call)?;
    put_user(call, &json!({member: given, "tags": user.get("tags")}))?;
    Ok(Output::Nothing)
}

pub(super) fn clear_password(call: &Call<'_>) -> Done {
    let user = known_user(call)?;
    put_user(call, &json!({"password_hash": "", "tags": user.get("tags")}))?;
    Ok(Output::Nothing)
}

pub(super) fn set_tags(call: &Call<'_>) -> Done {
    let user = known_user(call)?;
    put_user(
        call,
        &json!({
            "tags": call.words_from(1).join(","),
            "password_hash": user.get("password_hash"),
            "hashing_algorithm": user.get("hashing_algorithm"),
        }),
    )?;
    Ok(Output::Nothing)
}

pub(super) fn authenticate(call: &Call<'_>) -> Done {
    let given = password(call, 1)?;
    let body = json!({"username": call.word(0), "password": given});
    match call.client.send("POST", "/operation/authenticate", Some(&body))? {
        Sent::Done(response) if response.body == b"true" => Ok(Output::Text("Success".to_owned())),
        Sent::Done(_) | Sent::Missing(_) => {
            let name = call.word(0);
            let text = format!(
                "Error: failed to authenticate user \"{name}\"\nuser '{name}' - invalid credentials"
            );
            Err(Failed::Refused(text, DATA))
        }
    }
}

fn permissions(call: &Call<'_>) -> Value {
    json!({"configure": call.word(1), "write": call.word(2), "read": call.word(3)})
}

pub(super) fn set_permissions(call: &Call<'_>) -> Done {
    let path = call.path("/permissions/{vhost}/{0}");
    let sent = call.client.send("PUT", &path, Some(&permissions(call)));
    match sent {
        Ok(Sent::Done(_)) => Ok(Output::Nothing),
        refused => {
            known_user(call)?;
            let vhost = call.vhost();
            match call.client.get(&format!("/vhosts/{}", segment(vhost))) {
                Err(Failed::Plain(_, DATA)) => {
                    let text = format!("Virtual host {vhost} does not exist");
                    Err(Failed::Refused(text, UNAVAILABLE))
                }
                Ok(_) | Err(_) => match refused? {
                    Sent::Done(_) => Ok(Output::Nothing),
                    Sent::Missing(reason) => Err(Failed::refused(reason)),
                },
            }
        }
    }
}

pub(super) fn set_permissions_globally(call: &Call<'_>) -> Done {
    known_user(call)?;
    for vhost in names(&call.client.get("/vhosts?columns=name")?) {
        let path = format!("/permissions/{}/{}", segment(&vhost), segment(call.word(0)));
        call.client.send("PUT", &path, Some(&permissions(call)))?;
    }
    Ok(Output::Nothing)
}

/// The names of objects in a list.
pub(super) fn names(list: &Value) -> Vec<String> {
    let objects = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let names = objects.iter().filter_map(|object| object.get("name")?.as_str());
    names.map(str::to_owned).collect()
}

pub(super) fn clear_topic_permissions(call: &Call<'_>) -> Done {
    let path = match call.word(1) {
        "" => call.path("/topic-permissions/{vhost}/{0}"),
        _ => call.path("/topic-permissions/{vhost}/{0}/{1}"),
    };
    call.client.send("DELETE", &path, None)?;
    Ok(Output::Nothing)
}

pub(super) fn update_vhost(call: &Call<'_>) -> Done {
    let there = vhost(call, call.word(0))?;
    let mut body = described(&there);
    if let Value::Object(given) = super::bodies::vhost(call)? {
        body.extend(given);
    }
    call.client.send("PUT", &call.path("/vhosts/{0}"), Some(&Value::Object(body)))?;
    Ok(Output::Nothing)
}

/// A vhost that is to be there.
pub(super) fn vhost(call: &Call<'_>, name: &str) -> Result<Value, Failed> {
    call.client.get(&format!("/vhosts/{}", segment(name))).map_err(|failed| match failed {
        Failed::Plain(_, DATA) => {
            Failed::Plain(format!("Virtual host '{name}' does not exist"), DATA)
        }
        failed => failed,
    })
}

/// What a vhost would lose that is set without it.
pub(super) fn described(vhost: &Value) -> Map<String, Value> {
    let kept = ["description", "tags", "default_queue_type"].into_iter();
    let kept = kept.filter_map(|name| Some((name.to_owned(), vhost.get(name)?.clone())));
    kept.filter(|(_, value)| *value != "undefined").collect()
}

pub(super) fn delete_vhost(call: &Call<'_>) -> Done {
    match call.client.send("DELETE", &call.path("/vhosts/{0}"), None)? {
        Sent::Done(_) => Ok(Output::Nothing),
        Sent::Missing(_) => {
            let text = format!("Virtual host '{}' does not exist", call.word(0));
            Err(Failed::Plain(text, DATA))
        }
    }
}

pub(super) fn set_vhost_limits(call: &Call<'_>) -> Done {
    let limits = parsed(call.word(0))?;
    vhost(call, call.vhost())?;
    // All of them at once, in place of those that there are: as definitions they are set so.
    let parameter = json!({"component": "vhost-limits", "name": "limits", "value": limits});
    let path = call.path("/definitions/{vhost}");
    let sent = call.client.send("POST", &path, Some(&json!({"parameters": [parameter]})));
    sent.map_err(|failed| match failed {
        Failed::Refused(text, code) => {
            let reason = text.split("\n (vhost").next().unwrap_or_default().to_owned();
            Failed::Refused(reason, code)
        }
        failed => failed,
    })?;
    Ok(Output::Nothing)
}

/// The limits of a vhost or a user, from a list of one.
fn limits(list: &Value) -> Map<String, Value> {
    let first = list.as_array().and_then(|list| list.first());
    let value = first.and_then(|first| first.get("value")).and_then(Value::as_object);
    value.cloned().unwrap_or_default()
}

pub(super) fn clear_vhost_limits(call: &Call<'_>) -> Done {
    vhost(call, call.vhost())?;
    let there = call.client.get(&call.path("/vhost-limits/{vhost}"))?;
    for name in limits(&there).keys() {
        let path = format!("/vhost-limits/{}/{}", segment(call.vhost()), segment(name));
        call.client.send("DELETE", &path, None)?;
    }
    Ok(Output::Nothing)
}

pub(super) fn set_user_limits(call: &Call<'_>) -> Done {
    let Value::Object(limits) = parsed(call.word(1))? else {
        return Err(Failed::refused("limits are a JSON object"));
    };
    known_user(call)?;
    for (name, value) in limits {
        let path = format!("/user-limits/{}/{}", segment(call.word(0)), segment(&name));
        call.client.send("PUT", &path, Some(&json!({"value": value})))?;
    }
    Ok(Output::Nothing)
}

pub(super) fn clear_user_limits(call: &Call<'_>) -> Done {
    known_user(call)?;
    let names = match call.word(1) {
        "all" => {
            let there = call.client.get(&call.path("/user-limits/{0}"))?;
            limits(&there).keys().cloned().collect()
        }
        name => vec![name.to_owned()],
    };
    for name in names {
        let path = format!("/user-limits/{}/{}", segment(call.word(0)), segment(&name));
        call.client.send("DELETE", &path, None)?;
    }
    Ok(Output::Nothing)
}

pub(super) fn list_vhost_limits(call: &Call<'_>) -> Done {
    if call.line.has("global") {
        return all_limits(call, "/vhost-limits", "vhost");
    }
    vhost(call, call.vhost())?;
    let there = limits(&call.client.get(&call.path("/vhost-limits/{vhost}"))?);
    Ok(Output::Text(if there.is_empty() {
        String::new()
    } else {
        Value::Object(there).to_string()
    }))
}

pub(super) fn list_user_limits(call: &Call<'_>) -> Done {
    if call.line.has("global") {
        return all_limits(call, "/user-limits", "user");
    }
    let there = limits(&call.client.get(&call.path("/user-limits/{user}"))?);
    Ok(Output::Text(Value::Object(there).to_string()))
}

fn all_limits(call: &Call<'_>, path: &str, of: &str) -> Done {
    let all = call.client.get(path)?;
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: Option<&Value>| Value::from(value.cloned().unwrap_or_default().to_string());
    let row = |one: &Value| vec![one.get(of).cloned().unwrap_or_default(), text(one.get("value"))];
    let columns = vec![of.to_owned(), "limits".to_owned()];
    Ok(Output::Rows(Rows { columns, rows: all.iter().map(row).collect() }))
}

pub(super) fn hash_password(call: &Call<'_>) -> Done {
    let named = call.line.value("algorithm").unwrap_or("sha256");
    let algorithm = HashingAlgorithm::from_name(named).ok_or_else(|| {
        Failed::usage(format!("there is no algorithm {named}: sha256, sha512, md5 or argon2id"))
    })?;
    Ok(Output::Text(password::hash(algorithm, password(call, 0)?.as_bytes())))
}
