//! `musiccorp`: the company's own tool. It brings data into the shop from outside.
//!
//! It is a caller like any other: it knows the public HTTP API, follows its links, and sends every
//! write with an `Idempotency-Key` made from the source, so that the same command can be given again
//! after whatever happened. It refuses to know a service's address, store or crate, and leaves
//! every judgement about what the shop takes to the shop.

mod api;
mod arguments;
mod chinook;
mod importer;
mod progress;
mod report;
mod retry;
mod source;
mod starter;

use std::{io::Write, process::ExitCode};

use arguments::{Arguments, Origin};
use clap::Parser;

/// It could not finish, or was not understood. 2 says that rows were rejected, so a wrong argument
/// must not be 2, as clap would have it.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            // Help and the version come this way too, and are no failure.
            let code = if wrong.use_stderr() { FAILED } else { 0 };
            let _ = wrong.print();
            return ExitCode::from(code);
        }
    };
    let (from, options) = arguments.import();
    let source = match from {
        Origin::Chinook { file } => chinook::read(file).map_err(|error| error.to_string()),
        Origin::Starter => starter::read().map_err(|error| error.to_string()),
    };
    let done = source.and_then(|source| importer::run(&source, options));
    done.map_or_else(
        |error| {
            let _ = writeln!(std::io::stderr(), "musiccorp: {error}");
            ExitCode::from(FAILED)
        },
        |report| ExitCode::from(report.exit_code()),
    )
}
