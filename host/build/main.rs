//! Builds the guest, makes a component of it, and compiles that ahead of time, so that the program needs
//! no compiler. The results are in `OUT_DIR`: `component.wasm`, and `precompiled.rs` with the compiled code.

#![allow(clippy::print_stdout, reason = "how cargo is told")]

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine};

#[path = "../src/sandbox/engine.rs"]
mod engine;
mod guest;

fn main() -> Result<()> {
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    for input in ["Cargo.toml", "Cargo.lock", "guest/Cargo.toml", "guest/src", "wit"] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let module = guest::build("moat-guest", &workspace.canonicalize()?, &out.join("guest"))?;
    let component = wit_component::ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .encode()
        .context("making a component of the guest")?;
    let target = env::var("TARGET")?;
    let mut table = String::new();
    for (level, features) in cpu_levels(&target) {
        let precompiled =
            Engine::new(&compiler_config(&target, features)?)?.precompile_component(&component)?;
        let file = out.join(format!("component-{level}.cwasm"));
        writeln!(
            table,
            "Precompiled {{ cpu: {level:?}, code: include_bytes!({file:?}), sha256: {:?} }},",
            sha256(&precompiled)
        )?;
        fs::write(&file, precompiled)?;
    }
    fs::write(out.join("precompiled.rs"), format!("&[{table}]"))?;
    fs::write(out.join("component.sha256"), sha256(&component))?;
    fs::write(out.join("component.wasm"), component)?;
    Ok(())
}

/// In hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The CPUs to compile for, the best first; the last is the target's baseline, which every machine has.
///
/// With the rotations of BMI2 a key is derived in seven eighths of the time. The guest has no vector
/// instructions: on the baseline they would take several times as long.
fn cpu_levels(target: &str) -> &'static [(&'static str, &'static [&'static str])] {
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
        &[("x86-64-v3", V3), ("x86-64", &[])]
    } else {
        &[("baseline", &[])]
    }
}

/// The settings of the running program, for a CPU that is named rather than the one that happens to build.
fn compiler_config(target: &str, features: &[&str]) -> Result<Config> {
    let mut config = engine::config();
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
