//! Builds the two plugins and makes components of them, as anybody who ships plugins would.

#![allow(clippy::print_stdout, reason = "how a build script instructs cargo")]

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let plugins = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).canonicalize()?;
    let workspace = plugins.join("../../..").canonicalize()?;
    for input in ["reader", "caller", "wit", "../../../wit"] {
        println!("cargo::rerun-if-changed={}", plugins.join(input).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for name in ["reader", "caller"] {
        let package = format!("moat-plugin-{name}");
        let module = moat_guest_build::module(&package, &workspace, &out.join("guests"))?;
        let component = moat_guest_build::component(&module).context(package)?;
        fs::write(out.join(name).with_extension("wasm"), component)?;
    }
    Ok(())
}
