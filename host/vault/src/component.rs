//! The component that this crate carries: its bytes for other hosts, its identity, its contract.

use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use crate::contract::ErrorCode;
use crate::digest::sha256;
use crate::error::Error;

/// The component, for hosts with an engine of their own.
pub const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.wasm"));

/// SHA-256 of the component when it was built, in hexadecimal.
pub(crate) const BUILT: &str = include_str!(concat!(env!("OUT_DIR"), "/component.sha256"));

/// The component compiled ahead of time, for a CPU.
pub(crate) struct Precompiled {
    pub(crate) cpu: &'static str,
    pub(crate) code: &'static [u8],
    /// Whether an engine runs it in its place, which one alone can do.
    pub(crate) runs: AtomicBool,
    /// In hexadecimal, when it was built.
    pub(crate) sha256: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/precompiled.rs"));

/// The interfaces with functions that a component may import, and no others.
pub const ALLOWED_IMPORTS: [&str; 5] = [
    "fossawork:credentials/directory@1.0.0",
    "fossawork:credentials/key-cache@1.0.0",
    "fossawork:credentials/master-keys@1.0.0",
    "wasi:clocks/wall-clock@0.2.6",
    "wasi:random/random@0.2.6",
];

/// A part of the component, with a memory of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// All that it can call.
    pub imports: &'static [Import],
}

/// An interface that a part of the component imports.
#[derive(Debug)]
#[non_exhaustive]
pub struct Import {
    /// Its name.
    pub interface: &'static str,
    /// The part that provides it; `None`: the host.
    pub part: Option<&'static str>,
}

/// The parts of the component, as they were joined when it was built: only the first gets the master keys, and only the
/// second files.
pub const PARTS: &[Part] = include!(concat!(env!("OUT_DIR"), "/parts.rs"));

/// The files of the contract.
const CONTRACT: [&str; 8] = [
    include_str!("../wit/world.wit"),
    include_str!("../wit/vault.wit"),
    include_str!("../wit/reveal.wit"),
    include_str!("../wit/apply.wit"),
    include_str!("../wit/directory.wit"),
    include_str!("../wit/master-keys.wit"),
    include_str!("../wit/key-cache.wit"),
    include_str!("../wit/types.wit"),
];

/// What it uses of other packages, a file for each.
const DEPENDENCIES: [&str; 2] = [
    include_str!("../wit/deps/clocks/wall-clock.wit"),
    include_str!("../wit/deps/random/random.wit"),
];

/// The contract in WIT, as one document that tools such as `wit-bindgen` read: the package `fossawork:credentials`, and
/// nested in it what it uses of WASI.
pub fn wit() -> String {
    let mut document = String::new();
    for file in CONTRACT {
        let (package, contents) = file.split_once(";\n").unwrap_or_default();
        if document.is_empty() {
            document = format!("{package};\n");
        }
        document += contents;
    }
    for file in DEPENDENCIES {
        let (package, contents) = file.split_once(";\n").unwrap_or_default();
        document += &format!("\n{package} {{\n");
        for line in contents.trim().lines() {
            document += format!("    {line}").trim_end();
            document.push('\n');
        }
        document += "}\n";
    }
    document
}

/// SHA-256 of [`BYTES`], in hexadecimal, as they are now.
pub fn digest() -> &'static str {
    static DIGEST: LazyLock<String> = LazyLock::new(|| sha256(BYTES));
    &DIGEST
}

/// Checks that the component is what was built, and so is its compiled code.
///
/// # Errors
///
/// [`ErrorCode::Sandbox`] when its digest differs.
pub fn check() -> Result<(), Error> {
    let is_altered = |precompiled: &Precompiled| sha256(precompiled.code) != precompiled.sha256;
    if digest() != BUILT || PRECOMPILED.iter().any(is_altered) {
        let message = "the embedded component is not what was built: its digest differs";
        return Err(Error::new(ErrorCode::Sandbox, message));
    }
    Ok(())
}
