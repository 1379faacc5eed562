//! The component that this crate carries: its bytes for other hosts, its identity, its contract.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// The component, for hosts with an engine of their own.
pub const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.wasm"));

/// The same, compiled ahead of time: for which CPU, and the code; the best CPU first.
pub(crate) const PRECOMPILED: &[(&str, &[u8])] =
    include!(concat!(env!("OUT_DIR"), "/precompiled.rs"));

/// The interfaces with functions that a component may import, and no others.
pub const ALLOWED_IMPORTS: [&str; 5] = crate::sandbox::ALLOWED_IMPORTS;

/// The contract in WIT, as one package.
pub const WIT: [&str; 7] = [
    include_str!("../../wit/world.wit"),
    include_str!("../../wit/vault.wit"),
    include_str!("../../wit/reveal.wit"),
    include_str!("../../wit/directory.wit"),
    include_str!("../../wit/master-keys.wit"),
    include_str!("../../wit/key-cache.wit"),
    include_str!("../../wit/types.wit"),
];

/// SHA-256 of [`BYTES`], in hexadecimal.
pub fn digest() -> &'static str {
    static DIGEST: LazyLock<String> = LazyLock::new(|| hex(&Sha256::digest(BYTES)));
    &DIGEST
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
