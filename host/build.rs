//! Builds the guest, makes a component of it, and compiles that ahead of time, so that the program needs
//! no compiler. The results are `component.wasm` and `component.cwasm` in `OUT_DIR`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use wasmtime::{Config, Engine};

#[path = "src/sandbox/engine.rs"]
mod engine;

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> Result<()> {
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    for input in ["Cargo.toml", "Cargo.lock", "guest/Cargo.toml", "guest/src", "wit"] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let module = build_guest(&workspace.canonicalize()?, &out.join("guest"))?;
    let component = wit_component::ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .encode()
        .context("making a component of the guest")?;
    let engine = Engine::new(&compiler_config()?)?;
    let precompiled = engine.precompile_component(&component)?;

    fs::write(out.join("component.wasm"), component)?;
    fs::write(out.join("component.cwasm"), precompiled)?;
    Ok(())
}

/// Builds the guest with a cargo of its own, and returns the core module.
fn build_guest(workspace: &Path, target_dir: &Path) -> Result<Vec<u8>> {
    check_target()?;
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    // Panics name source files: without this, two machines would build different bytes.
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let flags = [remap(workspace, "moat"), remap(&cargo_home, "cargo")].join("\x1f");

    let status = Command::new(env::var("CARGO")?)
        .current_dir(workspace)
        .args(["rustc", "--package", "moat-guest", "--lib", "--crate-type", "cdylib"])
        .args(["--profile", "guest", "--target", TARGET, "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env_remove("RUSTFLAGS")
        // Set by `cargo clippy` for the outer build, not for this one.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .context("running cargo for the guest")?;
    if !status.success() {
        bail!("the guest did not build (see above)");
    }
    let module = target_dir.join(TARGET).join("guest/moat_guest.wasm");
    fs::read(&module).with_context(|| format!("reading {}", module.display()))
}

fn check_target() -> Result<()> {
    let output = Command::new(env::var("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("asking rustc for its targets")?;
    let libdir = String::from_utf8(output.stdout)?;
    if !Path::new(libdir.trim()).is_dir() {
        bail!("the guest needs the Rust target {TARGET}; run: rustup target add {TARGET}");
    }
    Ok(())
}

/// The settings to compile with: those of the running program, for the baseline CPU of the target rather than
/// the one that happens to build.
///
/// Nothing is lost by that: PBKDF2 takes as long as with x86-64-v3, so long as the guest has no vector
/// instructions (with them the baseline is slower several times over).
fn compiler_config() -> Result<Config> {
    let target = env::var("TARGET")?;
    println!("cargo::rustc-env=MOAT_TARGET={target}");
    let mut config = engine::config();
    config.target(&target)?;
    Ok(config)
}
