//! The part of the component that has the master keys: it derives the keys of users from them, for the part that reads
//! records, and nothing else leaves it.
//!
//! The host wipes and drops the whole instance after each call, so what is secret here needs no wiping type
//! unless it outlives the work on it.

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated from wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "../wit"],
        world: "moat:parts/key-part",
        generate_all,
    });
}

#[cfg(target_family = "wasm")]
mod component;
mod host;
pub mod kdf;
mod pbkdf2;
mod ring;
mod sha256;
mod word;

pub use host::Host;
pub use ring::Ring;

/// The types of the contract, and of what joins the parts.
pub mod contract {
    pub use crate::bindings::exports::moat::parts::user_keys::{
        Derivation, RingKey, RootParameters,
    };
    pub use crate::bindings::fossawork::credentials::key_cache::Slot;
    pub use crate::bindings::fossawork::credentials::types::{
        DerivedKey, Error, ErrorCode, KeyInfo, KeyWeakness, MasterKey,
    };
}
