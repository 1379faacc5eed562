//! How fast the vault is, beside native Rust without a sandbox, the way of the Python application, and the tools that people
//! use instead, all in one run:
//!
//! ```sh
//! cargo bench --workspace --bench compare
//! ```
//!
//! With `MOAT_LONG=1` it takes as long as the figures need, and keeps them: `host/docs/benchmarks.md` shows what it measured
//! last.

#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when anything fails"
)]

mod audit;
mod calls;
mod derivations;
mod directories;
mod machine;
mod native;
mod processes;

use support::benchmark::Results;
use support::callers::python;
use support::long;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("native") {
        return native::run(arguments);
    }
    let Some(python) = python() else { return };
    let credentials = processes::Credentials::new(&python);
    let mut groups = vec![
        credentials.reading(&python),
        credentials.writing(),
        calls::group(&python),
        audit::group(),
        derivations::group(&python),
    ];
    groups.extend(directories::groups(&python));
    let results = Results { machine: machine::description(&python), groups };
    println!("{}", results.print());
    if long() {
        results.keep();
    }
}
