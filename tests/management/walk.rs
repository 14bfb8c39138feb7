//! The API walked as it is described, with what nobody means to send: nothing of it is a fault of the
//! broker's, and everything is answered.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row};

pub(crate) const ROWS: &[Row] =
    &[("nothing that is sent is a fault of the broker's", Leveret, walk)];

/// The same walk every time; `LEVERET_WALK` has another seed.
const SEED: u64 = 20_261_130;
/// Every operation is asked so often.
const ROUNDS: usize = 4;
/// What would end or change what other rows go by, or has no end.
const LEFT_OUT: [&str; 7] = [
    "/api/operation/",
    "/api/events",
    "/api/log",
    "/api/definitions",
    "/api/all-configuration",
    "/api/cluster-name",
    "/api/feature-flags/{name}/enable",
];

/// What stands for a part of a path: names of this row's own, and what nobody would take.
const NAMES: [&str; 12] = [
    "walk",
    "walk",
    "walk",
    "q",
    "amq.default",
    "%00",
    "%FF%FE",
    "..%2F..",
    "%25",
    "a%20b",
    "0",
    "%F0%9F%90%87",
];

fn name(random: &mut StdRng) -> String {
    match random.random_range(0..20) {
        0 => "x".repeat(300),
        number => NAMES[number % NAMES.len()].to_owned(),
    }
}

fn odd(random: &mut StdRng, depth: u8) -> Value {
    match random.random_range(0..if depth == 0 { 9 } else { 11 }) {
        0 => Value::Null,
        1 => json!(random.random_bool(0.5)),
        2 => json!(random.random_range(-3..300)),
        3 => json!(i64::MIN),
        4 => json!(u64::MAX),
        5 => json!(-1.5e300),
        6 => json!(
            ["walk", "true", "", "-1", "base64", "(", "\u{0}", "x-queue-type"]
                [random.random_range(0..8)]
        ),
        7 => json!("y".repeat(random.random_range(0..400))),
        8 => json!([]),
        9 => (0..3).map(|_| odd(random, depth - 1)).collect(),
        _ => {
            let some = (0..3).map(|at| (format!("k{at}"), odd(random, depth - 1)));
            Value::Object(some.collect())
        }
    }
}

/// A body of the fields that a schema names, some of them right.
fn body(random: &mut StdRng, document: &Value, operation: &Value) -> Option<String> {
    let content = operation["requestBody"]["content"]["application/json"]["schema"].as_object()?;
    let name = content.get("$ref")?.as_str()?.rsplit('/').next()?;
    let fields = document["components"]["schemas"][name]["properties"].as_object()?;
    let mut body = Map::new();
    for (field, schema) in fields {
        let choices = schema["enum"].as_array();
        let value = match (random.random_range(0..4), choices) {
            (0, _) => continue,
            (1 | 2, Some(choices)) => choices[random.random_range(0..choices.len())].clone(),
            _ => odd(random, 2),
        };
        body.insert(field.clone(), value);
    }
    Some(match random.random_range(0..12) {
        0 => "{".to_owned(),
        1 => odd(random, 3).to_string(),
        _ => Value::Object(body).to_string(),
    })
}

fn walk(api: &Api) {
    let seed = std::env::var("LEVERET_WALK").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(SEED);
    let mut random = StdRng::seed_from_u64(seed);
    api.vhost("walk");
    api.put("queues/walk/walk", "{}").expect(201);
    api.put("exchanges/walk/walk", r#"{"type":"topic"}"#).expect(201);
    let document = api.json("openapi.json");
    let paths = document["paths"].as_object().expect("there are paths");
    for (path, operations) in paths {
        if LEFT_OUT.iter().any(|out| path.starts_with(out)) {
            continue;
        }
        for (method, operation) in operations.as_object().expect("an object") {
            if method == "parameters" {
                continue;
            }
            for _ in 0..ROUNDS {
                ask(api, &mut random, (method, path), (&document, operation), seed);
            }
        }
    }
    // It is still there, and well.
    api.get("whoami").expect(200);
    let _ = api.delete("vhosts/walk");
    let _ = api.delete("users/walk");
}

fn ask(
    api: &Api,
    random: &mut StdRng,
    (method, path): (&str, &str),
    (document, operation): (&Value, &Value),
    seed: u64,
) {
    let parts = path.split('/').map(|part| match part.strip_prefix('{') {
        Some(_) => name(random),
        None => part.to_owned(),
    });
    let mut address = parts.collect::<Vec<_>>().join("/");
    if random.random_bool(0.2) {
        let queries =
            ["page=0", "count=x&cursor=1-", "sort=a.b&columns=c", "name=(&use_regex=true&page=1"];
        address += &format!("?{}", queries[random.random_range(0..queries.len())]);
    }
    let body = body(random, document, operation).unwrap_or_default();
    let method = method.to_uppercase();
    let reply = api.with_body(&method, &address, &[], body.as_bytes());
    let is_fault = reply.status >= 500 && reply.status != 503;
    assert!(!is_fault, "seed {seed}: {method} {address} {body}: {} {}", reply.status, reply.text());
}
