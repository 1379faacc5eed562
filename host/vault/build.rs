//! Takes the component, and compiles it ahead of time, so that the library needs no compiler. The results are in
//! `OUT_DIR`: `component.wasm`, and `precompiled.rs` with the compiled code.
//!
//! In the repository the component is built from its source; the package of the library carries it as it was built
//! there, since the source isn't part of this crate.

#![allow(clippy::print_stdout, reason = "how a build script instructs cargo")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use moat_guest_build::{CpuLevel, PARTS, Source, cpu_levels};
use sha2::{Digest, Sha256};

fn main() -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Cargo puts this file into a package, and only there.
    let is_packaged = here.join("Cargo.toml.orig").is_file();
    let component = if is_packaged { packaged(&here)? } else { built(&here, &out)? };

    let target = env::var("TARGET")?;
    let levels = cpu_levels(&target);
    let (mut code, mut table) = (String::new(), String::new());
    for CpuLevel { name, features } in levels {
        let config = moat_guest_build::config(&target, features)?;
        let precompiled = moat_guest_build::precompiled(&component, &config)?;
        let file = out.join(format!("component-{name}.cwasm"));
        let bytes = if target.starts_with("x86_64") {
            let symbol = format!("moat_code_{}", name.replace('-', "_"));
            code += &among_the_programs_code(&symbol, &file, precompiled.len());
            // The comment is for clippy.
            format!(
                "// SAFETY: these bytes are never written.\nunsafe {{ &programs_code::{symbol} }}"
            )
        } else {
            format!("include_bytes!({file:?})")
        };
        writeln!(
            table,
            "Precompiled {{ cpu: {name:?}, runs: AtomicBool::new(false), sha256: {:?}, code: {bytes} }},",
            sha256(&precompiled)
        )?;
        fs::write(&file, precompiled)?;
    }
    let item = format!(
        r#"
        #[allow(unsafe_code, reason = "bytes of a file")]
        mod programs_code {{ {code} }}

        /// The best CPU first.
        #[allow(unsafe_code, reason = "bytes of a file")]
        pub(crate) static PRECOMPILED: [Precompiled; {}] = [{table}];
        "#,
        levels.len()
    );
    fs::write(out.join("precompiled.rs"), item)?;
    fs::write(out.join("parts.rs"), format!("&[{}]", parts(&component)?))?;
    fs::write(out.join("component.sha256"), sha256(&component))?;
    fs::write(out.join("component.wasm"), component)?;
    Ok(())
}

/// A file among the program's own code, in whole pages: the system maps it as executable from the start, so that it runs
/// also where nothing may be made executable later.
fn among_the_programs_code(symbol: &str, file: &Path, length: usize) -> String {
    let file = file.display();
    format!(
        r##"
        std::arch::global_asm!(
            r#"
            .pushsection .text.{symbol}, "ax", @progbits
            .balign 4096
            .globl {symbol}
            .hidden {symbol}
            .type {symbol}, @object
            .size {symbol}, {length}
            {symbol}:
            .incbin "{file}"
            .popsection
            "#,
            options(raw)
        );
        unsafe extern "C" {{
            pub(super) static {symbol}: [u8; {length}];
        }}
        "##
    )
}

/// The component that came with the package.
fn packaged(here: &Path) -> Result<Vec<u8>> {
    let file = here.join("moat.component.wasm");
    println!("cargo::rerun-if-changed={}", file.display());
    fs::read(&file).with_context(|| format!("reading {}", file.display()))
}

/// The component of the source beside this crate.
fn built(here: &Path, out: &Path) -> Result<Vec<u8>> {
    let workspace = here.join("../..").canonicalize()?;
    for input in [
        "Cargo.toml",
        "Cargo.lock",
        "guest/format/Cargo.toml",
        "guest/format/src",
        "guest/keys/Cargo.toml",
        "guest/keys/src",
        "guest/records/Cargo.toml",
        "guest/records/src",
        "guest/wit",
        "wit",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    moat_guest_build::vault_component(&workspace, &out.join("guest"))
}

/// The parts of the component, without the interfaces that hold types alone. Fails when a part gets another import than it
/// should.
fn parts(component: &[u8]) -> Result<String> {
    let mut table = String::new();
    for (name, part) in PARTS.iter().zip(moat_guest_build::vault_parts(component)?) {
        let imports = part.imports.iter().filter(|(interface, _)| !interface.contains("/types@"));
        let imports = imports.map(|(interface, source)| {
            let part = match source {
                Source::Host => None,
                Source::Part(place) => PARTS.get(*place),
            };
            format!("Import {{ interface: {interface:?}, part: {part:?} }},")
        });
        let imports: String = imports.collect();
        writeln!(table, "Part {{ name: {name:?}, imports: &[{imports}] }},")?;
    }
    Ok(table)
}

/// In hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
