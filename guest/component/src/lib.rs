//! The sandboxed core of Moat: the FossaWork credential format and all of its cryptography.
//!
//! A call comes in through [`vault`], which reads and writes [`record`]s through an [`Environment`]: what the
//! host lends, and nothing else. Inside a record stands a [`token`], made with [`keys`]; inside the token the
//! [`plaintext`]. Everything is ordinary Rust and is tested natively; only `component` knows that it runs in
//! WebAssembly, and holds no logic.
//!
//! The host wipes and drops the whole instance after each call, so what is secret here needs no wiping type
//! unless it outlives the work on it.

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated from wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "credential-vault",
        generate_all,
    });
}

#[cfg(target_family = "wasm")]
mod component;
mod derivation;
mod environment;
mod error;
pub mod kdf;
pub mod keys;
mod legacy;
pub mod migration;
pub mod plaintext;
pub mod record;
mod retry;
mod scheme;
pub mod settings;
mod sha256;
pub mod timestamp;
pub mod token;
pub mod vault;

pub use environment::Environment;

/// The types of the contract, `fossawork:credentials/types` and what its interfaces add.
pub mod contract {
    pub use crate::bindings::exports::fossawork::credentials::reveal::Revealed;
    pub use crate::bindings::exports::fossawork::credentials::vault::{
        Configured, Leftover, LeftoverPage, MigrateOptions, PutOptions, Removed, Rewritten, Stored,
        UserPage,
    };
    pub use crate::bindings::fossawork::credentials::directory::{File, NamePage};
    pub use crate::bindings::fossawork::credentials::key_cache::Slot;
    pub use crate::bindings::fossawork::credentials::types::{
        Credential, DerivedKey, Envelope, Error, ErrorCode, Field, KeyInfo, KeyWeakness, MasterKey,
        RecordKind, Summary, TokenEncoding,
    };
}
