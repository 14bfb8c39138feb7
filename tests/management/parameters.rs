//! Parameters of vhosts and of the whole broker, and the cluster's name.

use serde_json::{Value, json};

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("parameters of components that are known are set and cleared", Any, known),
    ("others are refused as those of plugins that are off", Any, refused_parameters),
    ("operator policies are parameters", Any, operator_policies),
    ("global parameters are kept as they are given", Any, global),
    ("parameters are for those who make policies", Any, rights),
    ("what operators say is not for policymakers", Leveret, operators_alone),
    ("the cluster is given a name", Leveret, cluster_name),
];

fn known(api: &Api) {
    api.vhost("parameters-k");
    let path = "parameters/vhost-limits/parameters-k/limits";
    api.put(path, r#"{"value":{"max-queues":5}}"#).expect(201);
    api.put(path, r#"{"value":{"max-queues":6}}"#).expect(204);
    let expected = json!({
        "value": {"max-queues": 6}, "vhost": "parameters-k", "component": "vhost-limits",
        "name": "limits",
    });
    assert_eq!(api.json(path), expected);
    assert_eq!(api.json("parameters/vhost-limits/parameters-k"), json!([expected]));
    for list in ["parameters", "parameters/vhost-limits"] {
        let all = api.json(list);
        assert!(all.as_array().is_some_and(|all| all.contains(&expected)), "{all}");
    }
    let limits = json!([{"vhost": "parameters-k", "value": {"max-queues": 6}}]);
    assert_eq!(api.json("vhost-limits/parameters-k"), limits);
    let no = |text: &str| format!("Validation failed\n\n{text}\n");
    for (value, text) in [
        (json!({"no": 6}), "Unrecognised terms [{<<\"no\">>,6}] in limits"),
        (json!({"max-queues": "x"}), "max-queues should be a number, actually was <<\"x\">>"),
        (json!(7), "limits not a list 7"),
        (Value::Null, "limits not a list null"),
    ] {
        let body = json!({"value": value}).to_string();
        refused(api.put(path, &body), 400, "bad_request", no(text));
    }
    api.put(path, r#"{"value":[]}"#).expect(204);
    api.delete(path).expect(204);
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    refused(api.get(path), 404, "Object Not Found", "Not Found");
    api.forget(&["vhosts/parameters-k"]);
}

fn refused_parameters(api: &Api) {
    let path = "parameters/shovel/%2F/parameters-x";
    let text = "Validation failed\n\ncomponent shovel not found\n";
    refused(api.put(path, r#"{"value":{}}"#), 400, "bad_request", text);
    refused(api.put(path, "{}"), 400, "bad_request", "[{key_missing,value}]");
    refused(api.put(path, "x"), 400, "bad_request", "not_json");
    let text = "policies may not be set using this method";
    let policy = r#"{"value":{"pattern":"a","definition":{"max-length":1}}}"#;
    refused(api.put("parameters/policy/%2F/x", policy), 400, "bad_request", text);
    let elsewhere = "parameters/shovel/parameters-no/x";
    refused(api.put(elsewhere, r#"{"value":{}}"#), 404, "not_found", "vhost_not_found");
    for missing in [path, elsewhere, "parameters/shovel/parameters-no"] {
        refused(api.get(missing), 404, "Object Not Found", "Not Found");
    }
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    assert_eq!(api.json("parameters/shovel/%2F"), json!([]));
    assert_eq!(api.json("parameters/parameters-no"), json!([]));
    for (method, path) in [("POST", "parameters"), ("PUT", "parameters/shovel/%2F")] {
        let reply = api.ask(method, path, "").expect(405);
        assert_eq!(reply.header("allow"), Some("HEAD, GET, OPTIONS"));
    }
}

fn operator_policies(api: &Api) {
    api.vhost("parameters-o");
    let path = "parameters/operator_policy/parameters-o/op";
    let value = json!({
        "pattern": "a", "definition": {"max-length": 1}, "priority": 0, "apply-to": "all",
    });
    api.put(path, &json!({"value": value}).to_string()).expect(201);
    let said = api.json("operator-policies/parameters-o/op");
    assert_eq!((&said["pattern"], &said["definition"]), (&value["pattern"], &value["definition"]));
    assert_eq!(api.json(path)["value"], value);
    let no = |text: &str| format!("Validation failed\n\n{text}\n");
    for (value, text) in [
        (
            json!({}),
            "Key \"definition\" not found in op\nKey \"pattern\" not found in op\n\
             Key \"priority\" not found in op",
        ),
        (json!(7), "op not a list 7"),
    ] {
        let body = json!({"value": value}).to_string();
        refused(api.put(path, &body), 400, "bad_request", no(text));
    }
    api.delete(path).expect(204);
    assert_eq!(api.json("operator-policies/parameters-o"), json!([]));
    api.forget(&["vhosts/parameters-o"]);
}

fn global(api: &Api) {
    let path = "global-parameters/parameters-g";
    api.put(path, r#"{"value":{"a":1}}"#).expect(201);
    api.put(path, r#"{"name":"parameters-g","value":[1,"a",null]}"#).expect(204);
    let expected = json!({"name": "parameters-g", "value": [1, "a", null]});
    assert_eq!(api.json(path), expected);
    let all = api.json("global-parameters");
    assert!(all.as_array().is_some_and(|all| all.contains(&expected)), "{all}");
    refused(api.put(path, "{}"), 400, "bad_request", "[{key_missing,value}]");
    refused(api.put(path, "[]"), 400, "bad_request", "not_json");
    api.delete(path).expect(204);
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    refused(api.get(path), 404, "Object Not Found", "Not Found");
}

fn rights(api: &Api) {
    api.vhost("parameters-r");
    let text = "User not authorised to access object";
    let paths = [
        "parameters",
        "parameters/vhost-limits",
        "parameters/vhost-limits/parameters-r",
        "parameters/vhost-limits/parameters-r/limits",
        "global-parameters",
        "global-parameters/x",
    ];
    for tag in ["management", "monitoring"] {
        let user = api.user("parameters-r", tag);
        for path in paths {
            refused(user.get(path), 401, "not_authorised", text);
        }
        let body = r#"{"value":{}}"#;
        refused(user.put("parameters/shovel/parameters-r/x", body), 401, "not_authorised", text);
        refused(user.put("global-parameters/x", body), 401, "not_authorised", text);
    }
    let outsider = api.user("parameters-r", "policymaker");
    assert_eq!(outsider.json("parameters/vhost-limits"), json!([]));
    let path = "parameters/vhost-limits/parameters-r";
    refused(outsider.get(path), 404, "not_found", "Not Found");
    refused(outsider.get("parameters/a/parameters-no"), 404, "Object Not Found", "Not Found");
    let name = outsider.put("cluster-name", r#"{"name":"x"}"#);
    refused(name, 401, "not_authorised", "Not administrator user");
    api.forget(&["vhosts/parameters-r", "users/parameters-r"]);
}

fn operators_alone(api: &Api) {
    api.vhost("parameters-a");
    let user = api.user("parameters-a", "policymaker");
    let body = r#"{"configure":"","write":"","read":""}"#;
    api.put("permissions/parameters-a/parameters-a", body).expect(201);
    let path = "parameters/operator_policy/parameters-a/op";
    let body = r#"{"value":{"pattern":"a","definition":{"max-length":1},"priority":0}}"#;
    refused(user.put(path, body), 401, "not_authorised", "Not administrator user");
    api.put(path, body).expect(201);
    refused(user.delete(path), 401, "not_authorised", "Not administrator user");
    assert_eq!(user.json(path)["component"], "operator_policy");
    api.forget(&["vhosts/parameters-a", "users/parameters-a"]);
}

fn cluster_name(api: &Api) {
    let before = api.json("cluster-name");
    refused(api.put("cluster-name", "{}"), 400, "bad_request", "[{key_missing,name}]");
    api.put("cluster-name", r#"{"name":"parameters@here"}"#).expect(204);
    assert_eq!(api.json("cluster-name"), json!({"name": "parameters@here"}));
    assert_eq!(api.json("overview")["cluster_name"], "parameters@here");
    assert_eq!(api.json("global-parameters/cluster_name")["value"], "parameters@here");
    if let Some(metrics) = api.scrape("/metrics") {
        assert!(metrics.contains("rabbitmq_cluster=\"parameters@here\""), "Prometheus knows it");
    }
    api.delete("global-parameters/cluster_name").expect(204);
    assert_eq!(api.json("cluster-name"), before);
}
