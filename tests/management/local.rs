//! The socket in the data directory.

use serde_json::json;

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row};

pub(crate) const ROWS: &[Row] = &[
    ("whoever may open the socket is an administrator", Leveret, administrator),
    ("a password does not matter there", Leveret, password),
];

fn administrator(api: &Api) {
    let said = api.local().json("whoami");
    assert_eq!((&said["name"], &said["tags"]), (&json!("rabbitmq-cli"), &json!(["administrator"])));
    let local = api.local();
    local.put("vhosts/local-v", "").expect(201);
    assert_eq!(local.json("vhosts/local-v")["name"], "local-v");
    assert_eq!(local.json("vhosts/local-v/permissions"), json!([]), "nobody was given rights");
    local.get("aliveness-test/local-v").expect(200);
    local.delete("vhosts/local-v").expect(204);
}

fn password(api: &Api) {
    let local = api.local().by("guest", "wrong");
    assert_eq!(local.json("whoami")["name"], "rabbitmq-cli");
}
