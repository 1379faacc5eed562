//! The sandboxed core of Moat: the FossaWork credential format and all of its cryptography.
//!
//! A call comes in through [`vault`], which reads and writes [`record`]s through the [`Host`]: what it provides, and
//! nothing else. A record holds a [`token`], encrypted with one of the [`keys`]; the token holds the [`plaintext`].
//! Everything is ordinary Rust and is tested natively; only `component` knows that it runs in WebAssembly, and holds no
//! logic.
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
mod error;
mod host;
pub mod kdf;
pub mod keys;
mod kind;
pub mod migration;
mod pbkdf2;
pub mod plaintext;
pub mod record;
mod retry;
mod scheme;
pub mod settings;
mod sha256;
pub mod timestamp;
pub mod token;
pub mod vault;

pub use host::Host;

/// The types of the contract, `fossawork:credentials/types` and what its interfaces add.
pub mod contract {
    pub use crate::bindings::fossawork::credentials::directory::{File, NamePage};
    pub use crate::bindings::fossawork::credentials::key_cache::Slot;
    pub use crate::bindings::fossawork::credentials::types::{
        Configured, Credential, DerivedKey, Envelope, Error, ErrorCode, Field, KeyInfo,
        KeyWeakness, Leftover, LeftoverPage, MasterKey, MigrateOptions, PutOptions, RecordKind,
        Removed, Revealed, Rewritten, Stored, Summary, TokenEncoding, UserPage,
    };
}
