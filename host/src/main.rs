//! `moat`: encrypted credentials on the command line.

mod ambient;
mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
