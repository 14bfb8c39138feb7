//! The management page: its types, its style, what is pure of it, and all of it in a real browser.
//!
//! `cargo test -p leveret-tests --test page` runs what `tests/setup` installed: TypeScript's compiler and
//! ESLint over the modules, node's own test runner, and Chromium against a broker of its own. What scenes
//! that failed looked like is in `target/page-shots`. `LEVERET_PAGE_ONLY=palette` runs some scenes alone,
//! and leaves pictures of them there, too.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use leveret_tests::broker_under_test::{BrokerUnderTest, MANAGEMENT, repository, target_directory};
use leveret_tests::deadline::TO_RUN;
use leveret_tests::program::{Finished, Program, require};
use leveret_tests::provider::Provider;

/// Every page, as every user, on a machine that does other things, too.
const TO_BROWSE: Duration = Duration::from_secs(20 * 60);
/// Samples are taken often, so that charts have something to show.
const SAMPLING: &str = "collect_statistics_interval = 1000\n";

fn tools() -> PathBuf {
    target_directory().join("page-tools")
}

fn runs(command: &mut Command, within: Duration) -> Finished {
    let finished = Program::start(command.current_dir(repository())).finish(within);
    let printed = finished.stdout.join("\n");
    // What went wrong comes first and last: whoever shortens a long log leaves out its middle.
    let wrong = &finished.stderr;
    assert!(finished.status.success(), "{command:?}\n{wrong}\n{printed}\n{wrong}");
    finished
}

fn tool(name: &str) -> Command {
    let program = tools().join("node_modules/.bin").join(name);
    require(&program);
    Command::new(program)
}

#[test]
fn types() {
    let _ = runs(tool("tsc").args(["--project", "tests/page/tsconfig.json"]), TO_RUN);
}

#[test]
fn style() {
    let config = ["--config", "tests/page/eslint.config.mjs", "--max-warnings", "0"];
    let _ = runs(tool("eslint").args(config).args(["broker/page", "tests/page"]), TO_RUN);
}

#[test]
fn units() {
    // By name: versions of node differ in what they make of a folder.
    let folder = repository().join("tests/page/units");
    let entries = std::fs::read_dir(&folder).expect("the folder of the tests can be read");
    let files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    let _ = runs(Command::new("node").arg("--test").args(files), TO_RUN);
}

#[test]
fn browser() {
    let provider = Provider::start("rabbitmq.tag:monitoring rabbitmq.read:*/*");
    let config = format!("{MANAGEMENT}{SAMPLING}{}", provider.config());
    let mut broker = BrokerUnderTest::start_with(&config);
    require(&tools().join("node_modules/playwright-core"));
    let mut script = Command::new("node");
    script.arg("tests/page/browser/main.mjs");
    script.env("LEVERET_PAGE_TOOLS", tools());
    script.env("LEVERET_URL", format!("http://{}", broker.management()));
    script.env("LEVERET_AMQP", broker.broker().url());
    let finished = runs(&mut script, TO_BROWSE);
    assert_eq!(finished.stdout.last().map(String::as_str), Some("done"));
    broker.assert_sound();
}
