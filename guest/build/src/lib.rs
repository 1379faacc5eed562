//! From the source of a guest to code that a host can load: the module, the component, and machine code compiled ahead
//! of time. Each step gives the same bytes on every machine.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wasmtime::{Config, Engine};
use wit_component::ComponentEncoder;

mod wiring;

pub use wiring::{PARTS, Part, Source, vault_parts};

const TARGET: &str = "wasm32-unknown-unknown";

/// The guest's stack in its linear memory, all of which is wiped after every call. The default is 1 MiB, of
/// which it uses a few KiB.
const STACK_BYTES: usize = 128 * 1024;

/// Builds this package of the workspace with a cargo of its own, and returns the core module.
///
/// # Errors
///
/// When the compiler lacks the target, with the command that adds it, and when the package doesn't build.
pub fn module(package: &str, workspace: &Path, target_dir: &Path) -> Result<Vec<u8>> {
    check_target(&tool("RUSTC", "rustc"))?;
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    // Panics name source files: without this, two machines would build different bytes.
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let stack = format!("-Clink-arg=-zstack-size={STACK_BYTES}");
    // Several keys are derived in the lanes of vectors.
    let vectors = "-Ctarget-feature=+simd128".to_owned();
    let flags =
        [remap(workspace, "moat"), remap(&cargo_home, "cargo"), stack, vectors].join("\x1f");

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

/// Makes a component of a module that says in itself what it imports and exports, as `wit-bindgen` has it.
///
/// # Errors
///
/// When the module doesn't say so, or doesn't fit what it says.
pub fn component(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .module(module)?
        .validate(true)
        .encode()
        .context("making a component of the guest")
}

/// Makes one component of two, `socket` with what `plug` exports. What neither gets from the other is imported, and what
/// `socket` exports is exported.
///
/// # Errors
///
/// When `plug` exports nothing that `socket` imports.
pub fn composed(socket: &[u8], plug: &[u8]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, component: &[u8]| {
        let package = Package::from_bytes(name, None, component, graph.types_mut())?;
        Ok::<_, anyhow::Error>(graph.register_package(package)?)
    };
    let socket = register("moat:socket", socket)?;
    let plug = register("moat:plug", plug)?;
    wac_graph::plug(&mut graph, vec![plug], socket)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

/// Builds the component of this workspace from its two [`PARTS`]: the one with the master keys, and the one that reads
/// records.
///
/// # Errors
///
/// As [`module`], [`component`] and [`composed`].
pub fn vault_component(workspace: &Path, target_dir: &Path) -> Result<Vec<u8>> {
    let part = |package| component(&module(package, workspace, target_dir)?);
    composed(&part("moat-guest-records")?, &part("moat-guest-keys")?)
}

/// CPUs that have certain features.
#[derive(Debug)]
pub struct CpuLevel {
    /// As compilers call them.
    pub name: &'static str,
    /// The features, by cranelift's names.
    pub features: &'static [&'static str],
}

/// The CPUs to compile for on this target or architecture, the best first; the last is its baseline, which every machine
/// has.
///
/// With the rotations of BMI2 a key is derived in seven eighths of the time, and with the vectors of AVX2 several keys in
/// two thirds.
pub fn cpu_levels(target: &str) -> &'static [CpuLevel] {
    const V3: &[&str] = &[
        "has_sse3",
        "has_ssse3",
        "has_sse41",
        "has_sse42",
        "has_popcnt",
        "has_avx",
        "has_avx2",
        "has_bmi1",
        "has_bmi2",
        "has_lzcnt",
        "has_fma",
    ];
    if target.starts_with("x86_64") {
        &[CpuLevel { name: "x86-64-v3", features: V3 }, CpuLevel { name: "x86-64", features: &[] }]
    } else {
        &[CpuLevel { name: "baseline", features: &[] }]
    }
}

/// The settings of the engine that loads the code, for machines of this target, all of which have these features of a
/// CPU, by cranelift's names.
///
/// # Errors
///
/// When the target or a feature is unknown.
pub fn config(target: &str, features: &[&str]) -> Result<Config> {
    let mut config = moat_engine::config();
    config.target(target)?;
    for feature in features {
        // SAFETY: when the code is loaded, wasmtime checks that the CPU has the feature.
        #[allow(unsafe_code, reason = "naming CPU features")]
        unsafe {
            config.cranelift_flag_enable(feature);
        }
    }
    Ok(config)
}

/// Compiles a component to machine code under these settings.
///
/// # Errors
///
/// When the component isn't valid under the settings.
pub fn precompiled(component: &[u8], config: &Config) -> Result<Vec<u8>> {
    Ok(Engine::new(config)?.precompile_component(component)?)
}

/// Checks that this compiler can build for the guest's target.
///
/// # Errors
///
/// When it can't, with the command to run.
pub fn check_target(rustc: &OsStr) -> Result<()> {
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
