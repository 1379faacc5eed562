//! The host's side of the contract.

#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub mod types;

pub(crate) use types::{
    Credential, DerivedKey, Envelope, Error, ErrorCode, Field, KeyInfo, KeyWeakness, MasterKey,
    RecordKind, Summary, TokenEncoding,
};
