//! Pages, filters, order and columns, of a list that a row can fill: users.

use serde_json::json;

use crate::scene::Needs::Any;
use crate::scene::{Api, Row, names, refused};

pub(crate) const ROWS: &[Row] = &[
    ("what is long is in gzip for whoever takes it", Any, compressed),
    ("pages are counted as RabbitMQ counts them", Any, pages),
    ("pages that cannot be are refused", Any, wrong_pages),
    ("names are filtered by a part or an expression", Any, filters),
    ("any column sorts", Any, order),
    ("columns are chosen", Any, columns),
];

fn with_users(api: &Api, prefix: &str, check: impl Fn()) {
    let paths: Vec<String> = (0..5).map(|n| format!("users/{prefix}-{n}")).collect();
    for (n, path) in paths.iter().enumerate() {
        let status = api.put(path, &json!({"tags": format!("t{}", 9 - n)}).to_string()).status;
        assert!(status == 201 || status == 204, "{status}");
    }
    check();
    api.forget(&paths.iter().map(String::as_str).collect::<Vec<_>>());
}

fn pages(api: &Api) {
    with_users(api, "lists-p", || {
        let page = api.json("users?page=2&page_size=2&name=lists-p");
        assert_eq!(names(&page), ["lists-p-2", "lists-p-3"]);
        for (name, count) in [("page", 2), ("page_size", 2), ("page_count", 3)] {
            assert_eq!(page[name], count, "{name}");
        }
        assert_eq!((&page["filtered_count"], &page["item_count"]), (&json!(5), &json!(2)));
        assert!(page["total_count"].as_u64() >= Some(6), "guest is one");
        let empty = api.json("users?page=1&name=lists-nobody");
        assert_eq!((&empty["page_count"], &empty["items"]), (&json!(0), &json!([])));
        assert!(api.json("users?page_size=1").as_array().is_some_and(|all| all.len() > 5));
    });
}

fn wrong_pages(api: &Api) {
    let invalid = |number, size| {
        format!("Invalid pagination parameters: page number {number}, page size {size}")
    };
    for (query, number, size) in [
        ("page=0", "0", "undefined"),
        ("page=1&page_size=0", "1", "0"),
        ("page=1&page_size=501", "1", "501"),
    ] {
        let reply = api.get(&format!("users?{query}"));
        refused(reply, 400, "invalid_pagination_parameters", invalid(number, size));
    }
    let reply = api.get("users?page=2&name=lists-nobody");
    let text = "Page out of range, page: 2 page size: 100, len: 0";
    refused(reply, 400, "page_out_of_range", text);
}

fn filters(api: &Api) {
    with_users(api, "lists-f", || {
        let found = |query: &str| names(&api.json(&format!("users?page=1&{query}")));
        assert_eq!(found("name=LISTS-F-3"), ["lists-f-3"]);
        assert_eq!(found("name=%5Elists-f-%5B12%5D&use_regex=true"), ["lists-f-1", "lists-f-2"]);
        assert_eq!(found("name=%28&use_regex=true"), [""; 0]);
    });
}

fn order(api: &Api) {
    with_users(api, "lists-o", || {
        let found = |query: &str| names(&api.json(&format!("users?page=1&name=lists-o&{query}")));
        assert_eq!(found("sort=name&sort_reverse=true&page_size=2"), ["lists-o-4", "lists-o-3"]);
        assert_eq!(found("sort=tags&page_size=1")[0], "lists-o-4");
        assert_eq!(found("sort=no.such.column&page_size=1"), ["lists-o-0"]);
    });
}

fn columns(api: &Api) {
    let of_user = |columns: &str| api.json(&format!("users/guest?columns={columns}"));
    assert_eq!(of_user("name,no"), json!({"name": "guest"}));
    let types = api.json("overview?columns=exchange_types.name,object_totals.queues");
    let fields = types.as_object().expect("an object");
    assert_eq!(fields.len(), 2);
    assert!(fields["exchange_types"][0].as_object().is_some_and(|one| one.len() == 1));
    assert!(fields["object_totals"]["queues"].is_u64());
}

fn compressed(api: &Api) {
    let asked = |path: &str, header: &str| api.raw("GET", path, &[("Accept-Encoding", header)]);
    let plain = api.raw("GET", "/api/exchanges", &[]).expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    let reply = asked("/api/exchanges", "deflate;q=0.5, gzip").expect(200);
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert!(reply.header("vary").is_some_and(|vary| vary.contains("accept-encoding")));
    assert_eq!(reply.body[..3], [0x1f, 0x8b, 8]);
    assert!(reply.body.len() * 2 < plain.body.len(), "{} bytes", reply.body.len());
    // Behind ten octets of a head without a name, before eight of a checksum and a length.
    let deflated = &reply.body[10..reply.body.len() - 8];
    let bytes = miniz_oxide::inflate::decompress_to_vec(deflated).expect("a stream of deflate");
    let all: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert!(names(&all).iter().any(|name| name == "amq.direct"));
    for (path, header) in [("/api/whoami", "gzip"), ("/api/exchanges", "gzip;q=0")] {
        assert_eq!(asked(path, header).expect(200).header("content-encoding"), None, "{path}");
    }
}
