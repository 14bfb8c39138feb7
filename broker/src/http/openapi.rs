//! `/api/openapi.json`: the API described for programs (OpenAPI 3.1), and what may be asked of a path.
//!
//! Made of the table in `described`, which a test holds to `routes`, both ways. Stays true: what is not
//! known of an answer is not promised: most are objects whose fields are RabbitMQ's.

use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Management;
use super::answer::{Answer, is_known, json};
use super::described::{Ask, Given, Operation, Told, Who, operations};
use super::schemas;

/// `GET /api/openapi.json`, for everybody.
pub(super) async fn document(
    State(management): State<Arc<Management>>,
    asked: HeaderMap,
) -> Answer {
    let mut response = json(&described(&management.identity.version));
    // It stays the same as long as the broker is: its own version may be newer than RabbitMQ's that it names.
    let etag = format!("W/\"{}-{}\"", env!("CARGO_PKG_VERSION"), management.started_ms);
    if is_known(&asked, &etag) {
        response = StatusCode::NOT_MODIFIED.into_response();
    }
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

/// The whole document.
fn described(version: &str) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_default();
        path.insert(operation.ask.name().to_lowercase(), of(operation));
    }
    for (path, fields) in &mut paths {
        let parameters: Vec<Value> = parts(path).filter_map(named).map(parameter).collect();
        if !parameters.is_empty() {
            fields.insert("parameters".to_owned(), parameters.into());
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Leveret management API",
            "version": version,
            "description": "RabbitMQ's management API, and what Leveret has beside it. Names in paths, \
                            such as the vhost /, are percent-encoded.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// The name of a part that stands for any.
fn named(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn parameter(name: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "schema": {"type": "string", "minLength": 1},
    })
}

fn of(operation: &Operation) -> Value {
    let mut fields = super::overview::object(json!({
        "summary": operation.summary,
        "operationId": id(operation),
        "tags": [parts(operation.path).nth(1).unwrap_or("health")],
        "responses": answers(operation),
        "security": match operation.who {
            Who::Anyone => json!([]),
            Who::User | Who::Monitor | Who::Administrator => json!([{"basic": []}, {"bearer": []}]),
        },
    }));
    if let Some(tag) = operation.who.tag() {
        fields.insert("description".to_owned(), format!("For users with the tag {tag}.").into());
    }
    if matches!(operation.told, Told::List) {
        fields.insert("parameters".to_owned(), schemas::of_lists());
    }
    let body = match operation.given {
        Given::Nothing => return fields.into(),
        Given::Body(name) => json!({"application/json": {"schema": schemas::reference(name)}}),
        Given::Definitions => json!({
            "application/json": {"schema": {"type": "object"}},
            "multipart/form-data": {"schema": {"type": "object"}},
        }),
        Given::Messages => json!({"application/octet-stream": {}}),
        Given::Form => json!({
            "application/x-www-form-urlencoded": {"schema": schemas::reference("login")},
        }),
    };
    fields.insert("requestBody".to_owned(), json!({"content": body}));
    fields.into()
}

/// Ascending letters of the path and the method: no two operations have the same.
fn id(operation: &Operation) -> String {
    let path = operation.path.trim_start_matches("/api").replace(['/', '{', '}', '.'], "_");
    format!("{}{path}", operation.ask.name().to_lowercase())
}

fn answers(operation: &Operation) -> Value {
    let content = |schema: Value| json!({"application/json": {"schema": schema}});
    let good = |text: &str, schema: Value| json!({"description": text, "content": content(schema)});
    let mut answers = super::overview::object(match operation.told {
        Told::One => json!({"200": good("What was asked for.", json!({}))}),
        Told::List => json!({"200": good("A list, or a page of it.", schemas::reference("list"))}),
        Told::Done => json!({"204": {"description": "It is done."}}),
        Told::Put => json!({
            "201": {"description": "It is new."},
            "204": {"description": "It was there, and is now as given."},
        }),
        Told::Created => json!({"201": {"description": "It is new; the header says where."}}),
        Told::Stream => json!({
            "200": {
                "description": "Server-sent events.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
        }),
        Told::Archive => json!({
            "200": {"description": "The archive.", "content": {"application/x-tar": {}}}
        }),
        Told::Elsewhere => json!({
            "303": {"description": "Where to go, in the header location."}
        }),
        Told::Metrics => json!({
            "200": {
                "description": "Metrics in the text format of Prometheus.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
        }),
    });
    for (status, text) in [
        ("400", "It says something that cannot be."),
        ("401", "Nobody says who asks, or who asks may not."),
        ("404", "There is no such thing, or not for this user."),
        ("503", "What was looked at is not well, or there is no place."),
        ("default", "Something else is wrong."),
    ] {
        let error = good(text, schemas::reference("error"));
        answers.insert(status.to_owned(), error);
    }
    answers.into()
}

/// What may be asked of a path, as the header `allow` says it; of one that nobody knows what RabbitMQ says
/// of it.
pub(super) fn allowed(path: &str) -> String {
    let asked: Vec<&str> = parts(path).collect();
    let mut best: Option<(usize, &str)> = None;
    for operation in operations() {
        if let Some(literal) = fits(operation.path, &asked)
            && best.is_none_or(|(most, _)| literal > most)
        {
            best = Some((literal, operation.path));
        }
    }
    let Some((_, best)) = best else { return "HEAD, GET, OPTIONS".to_owned() };
    let has = |ask: Ask| operations().any(|one| one.path == best && one.ask == ask);
    let mut names = Vec::new();
    if has(Ask::Get) {
        names.push("HEAD");
    }
    let asks = [Ask::Get, Ask::Post, Ask::Put, Ask::Delete].into_iter().filter(|ask| has(*ask));
    names.extend(asks.map(Ask::name));
    names.push("OPTIONS");
    names.join(", ")
}

/// How many parts of a path are named literally, from the left with more weight; `None` if it is another
/// path.
fn fits(pattern: &str, asked: &[&str]) -> Option<usize> {
    let mut rest = asked.iter();
    let mut literal = 0;
    for part in parts(pattern) {
        let asked = rest.next()?;
        literal *= 2;
        if named(part).is_none() {
            if part != *asked {
                return None;
            }
            literal += 1;
        }
    }
    rest.next().is_none().then_some(literal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;
    use axum::http::Request;
    use axum::http::header::ALLOW;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::super::routes;
    use super::*;
    use crate::config::{Config, ServeOptions};
    use crate::startup;

    #[test]
    fn every_method_has_its_place_in_the_header() {
        for (path, expected) in [
            ("/api/queues", "HEAD, GET, OPTIONS"),
            ("/api/queues/%2F/q", "HEAD, GET, PUT, DELETE, OPTIONS"),
            ("/api/queues/detailed", "HEAD, GET, OPTIONS"),
            ("/api/definitions", "HEAD, GET, POST, OPTIONS"),
            ("/api/login", "POST, DELETE, OPTIONS"),
            ("/api/connections/username/u", "HEAD, GET, DELETE, OPTIONS"),
            ("/api/nowhere", "HEAD, GET, OPTIONS"),
        ] {
            assert_eq!(allowed(path), expected, "{path}");
        }
    }

    #[test]
    fn no_operation_is_described_twice_and_every_body_has_a_schema() {
        let ids: Vec<String> = operations().map(id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        let schemas = schemas::all();
        for operation in operations() {
            if let Given::Body(name) = operation.given {
                assert!(schemas.get(name).is_some(), "{name}");
            }
        }
        let document = described("1");
        assert_eq!(document["openapi"], "3.1.0");
        assert!(document["paths"]["/api/queues/{vhost}"]["get"]["responses"]["200"].is_object());
    }

    /// Whoever adds a route describes it in `described`, and the other way round.
    #[tokio::test]
    async fn every_route_is_described_and_every_description_has_a_route() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = Some(directory.path().join("data"));
        let options = ServeOptions { data_dir, ..ServeOptions::default() };
        let config = Config::load(&options, |_| None).unwrap();
        let started = startup::start(&config).unwrap();
        let management = Management::new(&started, &config, Vec::new(), Vec::new());
        let mut routed = BTreeSet::new();
        for (path, methods) in routes::all().paths() {
            let service =
                axum::Router::new().route("/x", methods).with_state(Arc::clone(&management));
            let request = Request::builder().method("PATCH").uri("/x").body(Body::empty()).unwrap();
            let answer = TowerToHyperService::new(service).call(request).await.unwrap();
            let allow = answer.headers()[ALLOW].to_str().unwrap().to_owned();
            let methods = allow.split(',').filter(|method| *method != "HEAD");
            routed.extend(methods.map(|method| (path.clone(), method.to_owned())));
        }
        let told = |one: &Operation| (one.path.to_owned(), one.ask.name().to_owned());
        let described: BTreeSet<_> = operations().map(told).collect();
        assert_eq!(
            routed.difference(&described).collect::<Vec<_>>(),
            Vec::<&_>::new(),
            "undescribed"
        );
        assert_eq!(described.difference(&routed).collect::<Vec<_>>(), Vec::<&_>::new(), "unrouted");
        started.close().unwrap();
    }
}
