//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// MusicCorp's own tool: brings data into the shop through its public API.
#[derive(Debug, Parser)]
#[command(name = "musiccorp", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import artists, albums and customers
    #[command(arg_required_else_help = true, after_long_help = ABOUT_IMPORT)]
    Import {
        #[command(subcommand)]
        from: Origin,
        #[command(flatten)]
        options: Options,
    },
}

const ABOUT_IMPORT: &str = "\
An import can be repeated, and be stopped at any point: the same command goes on where it stopped
and creates nothing twice.

Exit code: 0 when everything is in the shop, 2 when rows were rejected, 1 when it could not finish.";

impl Arguments {
    /// Where to import from, and how.
    pub fn import(&self) -> (&Origin, &Options) {
        let Command::Import { from, options } = &self.command;
        (from, options)
    }
}

/// Where the data comes from.
#[derive(Debug, Subcommand)]
pub enum Origin {
    /// The Chinook sample database: artists, albums with their tracks, customers
    #[command(after_long_help = ABOUT_IMPORT)]
    Chinook {
        /// The SQLite file, such as Chinook_Sqlite.sqlite; it is only read
        file: PathBuf,
    },
    /// The starter catalogue that comes with this tool: real albums of many genres and decades
    #[command(after_long_help = ABOUT_IMPORT)]
    Starter,
}

/// What all imports have in common.
#[derive(Debug, Args)]
pub struct Options {
    /// Where the shop is
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = gateway)]
    pub gateway: String,
    /// How to show progress (on standard error)
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t = Progress::Auto)]
    pub progress: Progress,
    /// Write what was done as JSON, with every rejected row
    #[arg(long, global = true, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
    /// Give up when nothing could be done for so long, because the shop does not answer
    #[arg(long, global = true, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub patience: Duration,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A bar in a terminal, lines elsewhere
    Auto,
    /// Lines
    Plain,
    /// Not at all
    None,
}

/// The shop's address without a slash at its end.
fn gateway(text: &str) -> Result<String, String> {
    let example = "give an address such as http://127.0.0.1:8080";
    let authority = text
        .strip_prefix("http://")
        .ok_or_else(|| format!("only http:// is spoken here; {example}"))?
        .trim_end_matches('/');
    let right = !authority.is_empty()
        && authority.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]_".contains(c));
    if right {
        Ok(format!("http://{authority}"))
    } else {
        Err(format!("an address has a host and perhaps a port, and nothing else; {example}"))
    }
}

/// `90s`, `2m`, or seconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_each = match &text[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let seconds = digits.parse::<u32>().ok().zip(seconds_each);
    let right = seconds.map(|(number, each)| u64::from(number) * each).filter(|&s| s > 0);
    right.map(Duration::from_secs).ok_or_else(|| "give a time such as 90s or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_address_is_a_host_with_a_port() {
        assert_eq!(gateway("http://127.0.0.1:8080/").as_deref(), Ok("http://127.0.0.1:8080"));
        assert_eq!(gateway("http://[::1]:8080").as_deref(), Ok("http://[::1]:8080"));
        for wrong in ["", "localhost:8080", "https://shop", "http://", "http://a/b", "http://u@h"] {
            assert!(gateway(wrong).is_err_and(|why| why.contains("such as http://")), "{wrong}");
        }
    }

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        let seconds = |text| duration(text).ok().map(|time| time.as_secs());
        assert_eq!(["90s", "2m", "5", "1h"].map(seconds), [90, 120, 5, 3600].map(Some));
        assert_eq!(["", "0", "s", "-1s", "1d", "1.5s", "99999999999s"].map(seconds), [None; 7]);
    }
}
