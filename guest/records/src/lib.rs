//! The part of the component that reads and writes records of the FossaWork credential format, and encrypts and decrypts
//! what is in them. It never has a master key: the part with those derives the keys of users for it.
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
        path: ["../../wit", "../wit"],
        world: "moat:parts/record-part",
        generate_all,
    });
}

#[cfg(target_family = "wasm")]
mod component;
pub mod configuration;
mod error;
mod history;
mod host;
pub mod keys;
mod kind;
pub mod migration;
pub mod plaintext;
pub mod record;
mod retry;
mod scheme;
pub mod settings;
pub mod token;
pub mod vault;

pub use host::Host;

/// The types of the contract, `fossawork:credentials/types` and what its interfaces add, and of what joins the parts.
pub mod contract {
    pub use crate::bindings::fossawork::credentials::directory::{File, NamePage};
    pub use crate::bindings::fossawork::credentials::types::{
        Changes, Configured, Credential, DerivedKey, EarlierVersion, Envelope, Error, ErrorCode,
        Field, KeyInfo, KeyWeakness, Leftover, LeftoverPage, MigrateOptions, PutOptions,
        RecordKind, Removed, Revealed, Rewritten, Stored, Summary, TokenEncoding, UserPage,
        VersionHistory,
    };
    pub use crate::bindings::moat::parts::user_keys::{Derivation, RingKey, RootParameters};
}
