//! What the command line may say about the configuration.
//!
//! Parsed by `cli`, read by `sources` after the files and before nothing: it wins.

use std::path::PathBuf;

use clap::Args;

/// Options of a running broker. Each goes before the environment and the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ServeOptions {
    /// Configuration file, in the syntax of rabbitmq.conf
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where definitions and messages are kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The AMQP port, instead of all listeners that are configured
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// debug, info, notice, warning, error, critical or none
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}
