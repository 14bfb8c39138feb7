//! `leveret doctor`: what is wrong, or soon will be, with a broker that runs, or one that is to.
//!
//! Called by `main`. `settings`, `machine`, `disk` and `ports` look, each at what its name says; `finding`
//! is what they say; `bundle` puts it into a file (`archive`) without what `secrets` knows. Stays true:
//! nothing is changed but a file of its own that is gone afterwards, all of it takes less than three
//! seconds, and what is bad ends with 1.

mod archive;
mod bundle;
mod disk;
mod finding;
mod machine;
mod ports;
mod settings;

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use self::bundle::Told;
use self::finding::{Finding, Level, data, report};
use crate::config::{Config, ServeOptions};
use crate::ctl::failure::Failed;
use crate::ctl::fields::flag;
use crate::ctl::whom::Whom;

/// How long the running broker may take for an answer, in seconds.
const PATIENCE: u64 = 1;

/// Which broker, and what becomes of the report.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DoctorArguments {
    /// Its configuration file; without it, the one that a broker would read
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Its data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Also write all that helps from afar into this file, FILE.tar.gz: no secret is in it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Say it in JSON
    #[arg(long)]
    json: bool,
}

/// Looks at everything, and prints it. The exit code.
#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
#[expect(clippy::print_stderr, reason = "a bundle that cannot be written is no part of the report")]
pub fn run(asked: &DoctorArguments, environment: impl Fn(&str) -> Option<String> + Copy) -> u8 {
    let (config, data_dir) = (asked.config.clone(), asked.data_dir.clone());
    let options = ServeOptions { config, data_dir, ..ServeOptions::default() };
    let (findings, config, told) = examine(&options, environment);
    match asked.json {
        true => println!("{:#}", data(&findings)),
        false => println!("{}", report(&findings)),
    }
    if let Some(path) = &asked.bundle {
        if let Err(error) = bundle::write(path, &findings, config.as_ref(), &told) {
            eprintln!("leveret: cannot write {}: {error}", path.display());
            return 1;
        }
        eprintln!("written to {}: look at it before you give it away", path.display());
    }
    u8::from(findings.iter().any(|finding| finding.level == Level::Bad))
}

fn examine(
    options: &ServeOptions,
    environment: impl Fn(&str) -> Option<String> + Copy,
) -> (Vec<Finding>, Option<Config>, Told) {
    let nobody = Told { overview: None, node: None };
    let config = match Config::load(options, environment) {
        Ok(config) => config,
        Err(error) => {
            let mut findings = settings::mistakes(options, &error, environment);
            findings.push(machine::files(None));
            findings.extend(machine::clocks(&PathBuf::new()));
            return (findings, None, nobody);
        }
    };
    let (broker, told) = running(&config);
    let mut findings = settings::ignored(&config);
    findings.push(broker);
    findings.push(settings::passwords(&config));
    findings.extend(settings::certificates(&config));
    findings.extend(ports::check(&config, told.overview.as_ref()));
    findings.push(machine::files(told.node.as_ref()));
    findings.push(machine::memory(&config));
    findings.extend(machine::clocks(&config.data_dir));
    findings.extend(disk::check(&config));
    (findings, Some(config), told)
}

/// Whether a broker has the data directory, and what it says of itself.
fn running(config: &Config) -> (Finding, Told) {
    let about = "broker";
    let whom = Whom {
        data_dir: Some(config.data_dir.clone()),
        timeout: Some(PATIENCE),
        ..Whom::default()
    };
    let asked = || {
        let client = whom.client(|_| None)?;
        let nodes = client.get("/nodes")?;
        let node = nodes.as_array().and_then(|nodes| nodes.first()).cloned();
        Ok::<_, Failed>((client.get("/overview")?, node))
    };
    let Ok((overview, node)) = asked() else {
        let text = format!("none runs on {}", config.data_dir.display());
        return (Finding::ok(about, text), Told { overview: None, node: None });
    };
    let finding = of_node(about, node.as_ref().unwrap_or(&Value::Null));
    (finding, Told { overview: Some(overview), node })
}

fn of_node(about: &'static str, node: &Value) -> Finding {
    let alarms = [("mem_alarm", "memory"), ("disk_free_alarm", "disk space")];
    let low: Vec<_> =
        alarms.into_iter().filter(|(member, _)| flag(node, member)).map(|(_, what)| what).collect();
    match low.is_empty() {
        true => Finding::ok(about, "it runs, and no alarm is in effect"),
        false => {
            let text = format!("it is low on {}, and publishers wait", low.join(" and "));
            Finding::bad(about, text, "see leveret explain connection NAME")
        }
    }
}
