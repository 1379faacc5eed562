//! `moat`: encrypted credentials on the command line.

mod ambient;
mod cli;
mod confinement;
mod terminal;

fn main() -> std::process::ExitCode {
    cli::main()
}
