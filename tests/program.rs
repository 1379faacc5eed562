//! The program under test: `host/cli/src/main.rs`, with all features.

fn main() -> std::process::ExitCode {
    moat_cli::main()
}
