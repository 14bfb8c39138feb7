//! `rabbitmqadmin`, in the grammars of both programs of that name: what is printed, to the letter, and how it
//! ends. Texts are those of the program in Python (3.10) and of the one in Rust (2.29), at the same broker.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use leveret_tests::broker_under_test::{BrokerUnderTest, MANAGEMENT, built};
use leveret_tests::deadline;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Printed, run};

/// One with a port for management, for the tests of this file that see no more than what is theirs.
static BROKER: LazyLock<Mutex<BrokerUnderTest>> =
    LazyLock::new(|| Mutex::new(BrokerUnderTest::start_with(MANAGEMENT)));

fn management() -> SocketAddr {
    BROKER.lock().unwrap_or_else(PoisonError::into_inner).management()
}

fn admin(words: &[&str]) -> Printed {
    admin_of(management(), words)
}

fn admin_of(at: SocketAddr, words: &[&str]) -> Printed {
    let (host, port) = (at.ip().to_string(), at.port().to_string());
    let whom = ["rabbitmqadmin", "-H", &host, "-P", &port];
    run(&whom.iter().chain(words).copied().collect::<Vec<_>>())
}

/// The same of the program in Rust itself where LEVERET_RABBITMQADMIN says where it is: it has to print
/// what ours prints, to the letter (`just admin-clients`).
fn second_of(at: SocketAddr, words: &[&str]) -> Printed {
    let Some(theirs) = std::env::var_os("LEVERET_RABBITMQADMIN") else {
        return admin_of(at, words);
    };
    let (host, port) = (at.ip().to_string(), at.port().to_string());
    let mut command = Command::new(theirs);
    command.args(["-H", &host, "-P", &port]).args(words);
    Printed::of(deadline::run(&mut command))
}

/// A command, what it prints wherever, and its exit code.
type Said<'a> = (&'a str, &'a str, i32);

#[track_caller]
fn say(at: SocketAddr, lines: &[Said<'_>]) {
    say_by(admin_of, at, lines);
}

#[track_caller]
fn say_by(program: fn(SocketAddr, &[&str]) -> Printed, at: SocketAddr, lines: &[Said<'_>]) {
    let mut wrong = Vec::new();
    for (words, expected, code) in lines {
        let printed = program(at, &words.split(' ').collect::<Vec<_>>());
        let said = format!("{}{}", printed.out, printed.err);
        if (said.trim_end_matches('\n'), printed.code) != (*expected, *code) {
            wrong.push(format!("{words}\nexpected {code}:\n{expected}\n{}:\n{said}", printed.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const FIRST: &[Said<'static>] = &[
    ("declare vhost name=va", "vhost declared", 0),
    (
        "declare permission vhost=va user=guest configure=.* write=.* read=.*",
        "permission declared",
        0,
    ),
    ("-V va declare exchange name=ex type=topic", "exchange declared", 0),
    (
        "-V va declare queue name=q durable=true arguments={\"x-max-length\":10}",
        "queue declared",
        0,
    ),
    ("--vhost=va declare queue name=kq queue_type=quorum", "queue declared", 0),
    ("-V va declare binding source=ex destination=q routing_key=a.#", "binding declared", 0),
    ("-V va publish exchange=ex routing_key=a.b payload=hi", "Message published", 0),
    (
        "-V va publish exchange=ex routing_key=nope payload=hi",
        "Message published but NOT routed",
        0,
    ),
    ("-q -V va publish routing_key=kq payload=hi", "", 0),
    (
        "-V va -f tsv get queue=q ackmode=ack_requeue_false",
        "routing_key\texchange\tmessage_count\tpayload\tpayload_bytes\tpayload_encoding\tproperties\tredelivered\n\
             a.b\tex\t0\thi\t2\tstring\t\tFalse",
        0,
    ),
    (
        "-V va list bindings",
        "+--------+-------------+-------------+\n\
             | source | destination | routing_key |\n\
             +--------+-------------+-------------+\n\
             |        | kq          | kq          |\n\
             |        | q           | q           |\n\
             | ex     | q           | a.#         |\n\
             +--------+-------------+-------------+",
        0,
    ),
    (
        "-V va -f kvp list queues name type",
        "name=\"kq\" type=\"quorum\"\nname=\"q\" type=\"classic\"",
        0,
    ),
    ("-V va -f bash -S name -R list queues", "q kq", 0),
    ("-V va declare policy name=p pattern=^q definition={\"max-length\":5}", "policy declared", 0),
    ("-V va -f tsv list policies name definition", "name\tdefinition\np\t{\"max-length\": 5}", 0),
    ("-V va purge queue name=q", "queue purged", 0),
    ("-V va delete queue name=q", "queue deleted", 0),
    ("-V va delete queue name=q", "*** Not found: /api/queues/va/q", 1),
    ("-V va list consumers", "No items", 0),
    ("-V va declare queue name=kq durable=false", IN_USE, 1),
    ("-p wrong list queues", "*** Access refused: /api/queues?columns=name,messages", 1),
    ("delete vhost name=va", "vhost deleted", 0),
    ("declare song", "\nERROR: Type song not recognised\n\nrabbitmqadmin --help for help", 1),
];

#[test]
fn the_first_grammar_does_an_operators_work() {
    // It lists policies of all vhosts whatever `-V` says, so nobody else may make any.
    let alone = BrokerUnderTest::start_with(MANAGEMENT);
    say(alone.management(), FIRST);
    say(alone.management(), TOGETHER);
}

/// What the second does to many at once; the first tells what came of it.
const TOGETHER: &[Said<'static>] = &[
    ("vhosts declare --name vp", "", 0),
    (
        "-V vp policies declare --name a --pattern ^q --apply-to queues --priority 3 \
         --definition {\"max-length\":5,\"expires\":9000}",
        "",
        0,
    ),
    (
        "-V vp policies declare --name b --pattern ^x --apply-to queues \
         --definition {\"max-length\":7}",
        "",
        0,
    ),
    ("-V vp policies patch --name a --definition {\"max-length-bytes\":9}", "", 0),
    (
        "-V vp policies update_definitions_of_all_in --definition-key max-length --new-value 11",
        "",
        0,
    ),
    ("-V vp policies update_definition --name b --definition-key expires --new-value 8000", "", 0),
    (
        "-V vp policies delete_definition_keys --name a --definition-keys expires,max-length-bytes",
        "",
        0,
    ),
    ("policies delete_definition_keys_from_all --definition-keys max-length", "", 0),
    ("-V vp policies declare_override --name a", "", 0),
    (
        "-V vp policies declare_blanket --name c --apply-to queues \
         --definition {\"max-length\":2}",
        "",
        0,
    ),
    (
        "-V vp -f tsv -S name list policies name priority definition",
        "name\tpriority\tdefinition\n\
         a\t3\t{\"max-length\": 11}\n\
         b\t0\t{\"expires\": 8000}\n\
         c\t-20\t{\"max-length\": 2}\n\
         overrides.a\t103\t{\"max-length\": 11}",
        0,
    ),
    ("-V vp policies patch --name none", "API responded with a 404 Not Found", 65),
    (
        "vhosts delete_multiple --name-pattern ^vp",
        "This operation is destructive and requires the --approve flag",
        65,
    ),
    (
        "vhosts delete_multiple --name-pattern ^vp --approve",
        "✅ Completed: 1 items processed successfully",
        0,
    ),
    ("vhosts delete_multiple --name-pattern ^vp --approve", "", 0),
];

#[test]
fn the_second_grammar_tells_of_a_node_and_helps_a_shell() {
    let overview = admin(&["-f", "raw_json", "show", "overview"]).out;
    let overview: Value = serde_json::from_str(&overview).expect("JSON");
    let overview = overview.get(0).unwrap_or(&overview);
    let node = overview["node"].as_str().expect("a name").to_owned();
    for (words, told) in [
        (&["auth_attempts", "stats", "--node", &node][..], "Successful"),
        (&["plugins", "list_all"], "rabbitmq_management"),
        (&["plugins", "list_on_node", "--node", &node], "rabbitmq_management"),
        (&["nodes", "memory_breakdown_in_bytes", "--node", &node], "Total (RSS)"),
        (&["nodes", "memory_breakdown_in_percent", "--node", &node], "100%"),
        (&["shell", "completions", "--shell", "bash"], "complete -F _rabbitmqadmin"),
        (&["shell", "completions", "--shell", "fish"], "complete -c rabbitmqadmin"),
        (&["policies", "list_conflicting"], "priority"),
        (&["policies", "list_matching_object", "--name", "q", "--type", "queues"], "priority"),
    ] {
        let printed = admin(words);
        assert_eq!(printed.code, 0, "{words:?}: {}", printed.err);
        assert!(printed.out.contains(told), "{words:?}: {}", printed.out);
    }
    let line = "eval \"$1\"; COMP_WORDS=(rabbitmqadmin policies pat); COMP_CWORD=2; \
                _rabbitmqadmin; echo \"${COMPREPLY[@]}\"";
    let script = admin(&["shell", "completions"]).out;
    let shell = deadline::run(Command::new("bash").args(["-c", line, "bash"]).arg(script));
    let completed = String::from_utf8(shell.stdout).expect("text");
    assert_eq!(completed, "patch\n");
    let exported = admin(&["definitions", "export", "-t", "exclude_users,drop_empty_policies"]);
    let exported: Value = serde_json::from_str(&exported.out).expect("JSON");
    assert_eq!(exported["users"], serde_json::json!([]));
    assert!(exported["vhosts"].as_array().is_some_and(|all| !all.is_empty()), "{exported}");
}

const IN_USE: &str = "*** inequivalent arg 'durable' for queue 'kq' in vhost 'va': received 'false' but \
                      current is 'true'";

#[test]
fn definitions_and_payloads_go_through_files() {
    let directory = TempDir::with_prefix("leveret-admin-").expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (first, second, payload) = (path("first.json"), path("second.json"), path("payload"));
    let host = management().ip().to_string();
    let exported = format!("Exported definitions for {host} to \"{first}\"");
    let imported = format!(
        "Uploaded definitions from \"{host}\" to {first}. The import process may take some time. \
         Consult server logs to track progress."
    );
    let filed = [
        ("declare queue name=filed", "queue declared", 0),
        (&format!("export {first}"), &exported, 0),
        (&format!("import {first}"), &imported, 0),
        (&format!("definitions export --file {second}"), "", 0),
        (&format!("definitions import --file {second}"), "", 0),
        ("-q publish routing_key=filed payload=kept-in-a-file", "", 0),
        (&format!("-q -f bash get queue=filed payload_file={payload}"), "", 0),
    ];
    say(management(), &filed);
    assert_eq!(fs::read_to_string(&payload).expect("a file"), "kept-in-a-file");
    for file in [&first, &second] {
        let document: Value =
            serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON");
        assert!(
            document["queues"].as_array().expect("a list").iter().any(|one| one["name"] == "filed")
        );
    }
    let printed = admin(&["export", "definitions"]).good();
    assert!(serde_json::from_str::<Value>(&printed).expect("JSON")["queues"].is_array());
    let config = path("nodes.conf");
    let port = management().port();
    fs::write(&config, format!("[there]\nhostname = {host}\nport = {port}\n")).expect("a file");
    let listed =
        run(&["rabbitmqadmin", "-c", &config, "-N", "there", "-f", "bash", "list", "vhosts"]);
    assert!(listed.good().starts_with('/'));
}

const QUEUES: &str = "\
╭──────┬────────────┬─────────┬─────────────────────────┬───────────────╮
│ name │ queue_type │ durable │ arguments               │ message_count │
├──────┼────────────┼─────────┼─────────────────────────┼───────────────┤
│ c    │ classic    │ true    │ x-queue-type: \"classic\" │ 0             │
│ q    │ quorum     │ true    │ x-max-length: 7         │ 0             │
│      │            │         │ x-queue-type: \"quorum\"  │               │
╰──────┴────────────┴─────────┴─────────────────────────┴───────────────╯";

const SECOND: &[Said<'static>] = &[
    ("vhosts declare --name vb --description d", "", 0),
    ("declare permissions --username guest --configure .* --read .* --write .* -V vb", "", 0),
    ("-V vb queues declare --name c", "", 0),
    ("-V vb declare queue --name q --type quorum --arguments {\"x-max-length\":7}", "", 0),
    ("-V vb queues list --columns name,queue_type,durable,arguments,message_count", QUEUES, 0),
    ("-V vb exchanges declare --name ex --type topic", "", 0),
    (
        "-V vb bindings declare --source ex --destination-type queue --destination q --routing-key a.#",
        "",
        0,
    ),
    ("-V vb publish message -e ex -k a.b -m hi", "Message published and routed successfully", 0),
    ("-V vb publish message --exchange ex --routing-key b", "Message published but NOT routed", 0),
    ("-V vb --non-interactive get messages --queue q", "2  false  ex  a.b  0    hi  string ", 0),
    (
        "-V vb policies declare --name p --pattern ^q --apply-to queues --definition {\"max-length\":5} --priority 3",
        "",
        0,
    ),
    (
        "--table-style ascii -V vb policies list_in",
        "+------+-------+---------+----------+----------+---------------+\n\
             | name | vhost | pattern | apply_to | priority | definition    |\n\
             +------+-------+---------+----------+----------+---------------+\n\
             | p    | vb    | ^q      | queues   | 3        | max-length: 5 |\n\
             |      |       |         |          |          |               |\n\
             +------+-------+---------+----------+----------+---------------+",
        0,
    ),
    (
        "-V vb bindings delete --source ex --destination-type queue --destination q --routing-key a.#",
        "",
        0,
    ),
    ("-V vb queues delete --name q", "", 0),
    ("-V vb queues delete --name q", "API responded with a 404 Not Found", 65),
    ("-V vb queues delete --name q --idempotently", "", 0),
    (
        "-V vb declare queue --name c --durable false",
        "inequivalent arg 'durable' for queue 'c' in vhost 'vb': received 'false' but current is 'true'",
        65,
    ),
    ("health_check local_alarms", "health check passed", 0),
    (
        "health_check port_listener --port 1",
        "╭───────────────┬───────────────────────────────╮\n\
             │ key           │ value                         │\n\
             ├───────────────┼───────────────────────────────┤\n\
             │ result        │ health check failed           │\n\
             │ path          │ health/checks/port-listener/1 │\n\
             │ status_code   │ 503 Service Unavailable       │\n\
             │ reason        │ No active listener            │\n\
             │ inactive port │ 1                             │\n\
             ╰───────────────┴───────────────────────────────╯",
        69,
    ),
    ("vhosts delete --name vb", "", 0),
];

#[test]
fn the_second_grammar_does_an_operators_work() {
    let second = |words| second_of(management(), words);
    say_by(second_of, management(), SECOND);
    // As the other commands are named.
    let routed = "Message published but NOT routed";
    say(management(), &[("messages publish -k admin-nowhere -m hi", routed, 0)]);
    assert_eq!(second(&["queues", "declare"]).code, 2);
    assert_eq!(second(&["-u", "guest", "-p", "wrong", "users", "list"]).code, 65);
    let vhosts = second(&["list", "vhosts", "--non-interactive"]).good();
    assert!(vhosts.lines().any(|line| line.starts_with("/ ")), "{vhosts}");
}

#[test]
fn the_binary_goes_by_its_name() {
    let directory = TempDir::with_prefix("leveret-name-").expect("a directory");
    let program = directory.path().join("rabbitmqadmin");
    symlink(built("leveret"), &program).expect("a link");
    let port = management().port().to_string();
    let arguments =
        ["-H", "127.0.0.1", "-P", &port, "-q", "-f", "tsv", "show", "overview", "cluster_name"];
    let ended = deadline::run(Command::new(&program).args(arguments));
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stdout.starts_with(b"rabbit@"), "{ended:?}");
    let help = deadline::run(Command::new(&program).arg("--help"));
    assert!(help.stdout.starts_with(b"Usage: rabbitmqadmin"), "{help:?}");
}
