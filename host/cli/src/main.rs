//! `moat`: an encrypted credential store for the command line.

fn main() -> std::process::ExitCode {
    moat_cli::main()
}
