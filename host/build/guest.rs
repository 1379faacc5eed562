//! Builds a guest as a core module, the same bytes on every machine. The tests' hostile guest is built by it too.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";

/// The guest's stack in its linear memory, all of which is wiped after every call. The default is 1 MiB, of
/// which it uses a few KiB.
const STACK_BYTES: usize = 128 * 1024;

/// Builds this package of the workspace with a cargo of its own, and returns the core module.
pub(crate) fn build(package: &str, workspace: &Path, target_dir: &Path) -> Result<Vec<u8>> {
    check_target(&tool("RUSTC", "rustc"))?;
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    // Panics name source files: without this, two machines would build different bytes.
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let stack = format!("-Clink-arg=-zstack-size={STACK_BYTES}");
    let flags = [remap(workspace, "moat"), remap(&cargo_home, "cargo"), stack].join("\x1f");

    let status = Command::new(tool("CARGO", "cargo"))
        .current_dir(workspace)
        .args(["rustc", "--package", package, "--lib", "--crate-type", "cdylib"])
        .args(["--profile", "guest", "--target", TARGET, "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env_remove("RUSTFLAGS")
        // Set by `cargo clippy` for the outer build, not for this one.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .with_context(|| format!("running cargo for {package}"))?;
    if !status.success() {
        bail!("{package} did not build (see above)");
    }
    let library = package.replace('-', "_");
    let module = target_dir.join(TARGET).join("guest").join(library).with_extension("wasm");
    fs::read(&module).with_context(|| format!("reading {}", module.display()))
}

/// Fails with the command to run when this compiler can't build for the guest's target.
pub(crate) fn check_target(rustc: &OsStr) -> Result<()> {
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("asking rustc for its targets")?;
    let libdir = String::from_utf8(output.stdout)?;
    if !Path::new(libdir.trim()).is_dir() {
        bail!("the guest needs the Rust target {TARGET}; run: rustup target add {TARGET}");
    }
    Ok(())
}

/// The tool that the outer cargo uses.
fn tool(variable: &str, name: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| name.into())
}
