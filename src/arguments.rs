//! The command line: its options and subcommands, and nothing of what they do.

use crate::call::Call;
use crate::logging::Level;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use lazycelery::config::{Options, Secret, quantity};
use std::path::PathBuf;

/// Watch Celery clusters. Without a subcommand: serve JSON-RPC 2.0 on stdin and stdout.
#[derive(Debug, Parser)]
#[command(name = "lazycelery", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    cluster: Cluster,
    /// Where to log; $XDG_STATE_HOME/lazycelery/lazycelery.log if not given
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// How much to log
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub log_level: Level,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Call one method and print its result
    Call(Call),
    /// Check what can be wrong with the connection, and say what to do
    Check,
    /// Record what happens on a cluster, until SIGINT or SIGTERM
    Record {
        /// A file that does not exist yet
        file: PathBuf,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the man page
    Man,
}

/// What to watch.
#[derive(Debug, Args)]
#[command(next_help_heading = "What to watch")]
struct Cluster {
    /// The broker's URL, as Celery's broker_url
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    broker: Option<Secret>,
    /// The result backend's URL, as Celery's result_backend
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    backend: Option<Secret>,
    /// The configuration; $XDG_CONFIG_HOME/lazycelery/config.toml if not given
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The environment that calls without one mean
    #[arg(long, global = true, value_name = "NAME")]
    environment: Option<String>,
    /// Its broker_transport_options
    #[arg(long, global = true, value_name = "JSON", value_parser = table)]
    transport_options: Option<toml::Table>,
    /// Memory for what is known of all clusters, such as 256MiB
    #[arg(long, global = true, value_name = "SIZE", value_parser = quantity::size)]
    memory_limit: Option<u64>,
    /// Change nothing on any cluster
    #[arg(long, global = true)]
    read_only: bool,
}

impl Arguments {
    /// What concerns the configuration.
    pub fn options(&self) -> Options {
        let Cluster {
            broker,
            backend,
            config,
            environment,
            transport_options,
            memory_limit,
            read_only,
        } = &self.cluster;
        Options {
            broker: broker.clone(),
            backend: backend.clone(),
            config: config.clone(),
            environment: environment.clone(),
            transport_options: transport_options.clone(),
            memory_limit: *memory_limit,
            read_only: *read_only,
        }
    }
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

fn table(json: &str) -> Result<toml::Table, serde_json::Error> {
    serde_json::from_str(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn options_stand_before_or_after_the_subcommand() {
        Arguments::command().debug_assert();
        for line in [
            "lazycelery --broker redis://h --memory-limit 1GiB call worker/list {\"limit\":1}",
            "lazycelery call worker/list {\"limit\":1} --memory-limit 1GiB --broker redis://h",
            "lazycelery --broker redis://h call --memory-limit 1GiB worker/list {\"limit\":1}",
        ] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            let options = arguments.options();
            assert_eq!(options.broker.unwrap().expose(), "redis://h", "{line}");
            assert_eq!(options.memory_limit, Some(1 << 30), "{line}");
            assert!(matches!(arguments.command, Some(Command::Call(_))), "{line}");
        }
    }

    #[test]
    fn transport_options_are_json() {
        let parse = |json| Arguments::try_parse_from(["lazycelery", "--transport-options", json]);
        let options = parse(r#"{"sep": ":", "priority_steps": [0, 5]}"#).unwrap().options();
        let table = options.transport_options.unwrap();
        assert_eq!(table["priority_steps"].as_array().map(Vec::len), Some(2));
        assert!(parse("[1]").is_err());
        assert!(parse("{").is_err());
    }

    #[test]
    fn a_url_is_never_shown() {
        let line = ["lazycelery", "--broker", "redis://:pw@h"];
        let arguments = Arguments::try_parse_from(line).unwrap();
        assert!(!format!("{arguments:?}").contains("pw"));
    }
}
