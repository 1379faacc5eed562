//! `moat`: encrypted credentials on the command line.

fn main() -> std::process::ExitCode {
    moat_cli::main()
}
