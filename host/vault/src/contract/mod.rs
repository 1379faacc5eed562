//! The host's side of the contract.

#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub mod types;

pub(crate) use types::{
    Changes, Configured, Credential, DerivedKey, Envelope, Error, ErrorCode, Field, KeyInfo,
    KeyWeakness, Leftover, LeftoverPage, MasterKey, MigrateOptions, PutOptions, RecordKind,
    Removed, Revealed, Rewritten, Stored, Summary, TokenEncoding, UserPage, VersionHistory,
};
