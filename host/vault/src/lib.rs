//! Encrypted credentials whose cryptography runs in a WebAssembly sandbox.
//!
//! A [`Vault`] keeps one record per user in a directory. The record format, the key derivation and the encryption are in
//! a WebAssembly component that is embedded in this crate, compiled ahead of time. For every call the vault makes a fresh
//! instance of it, grants it what that call needs (for [`Vault::reveal`]: to read this user's file and the master keys)
//! and drops it. The component can reach nothing else.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use cap_std::{ambient_authority, fs::Dir};
//! use moat::{Credential, Directory, KeyRing, MasterKey, PutOptions, UserId, Vault};
//!
//! # let path = tempfile::tempdir()?;
//! let directory = Directory::new(Dir::open_ambient_dir(&path, ambient_authority())?)?;
//! let keys = KeyRing::new(MasterKey::new(moat::generate_key()?.as_bytes()));
//! let vault = Vault::builder(directory, keys).build()?;
//!
//! let anna = UserId::parse("anna@example.com")?;
//! vault.put(&anna, &Credential::new("anna", "correct horse"), &PutOptions::default())?;
//! assert_eq!(vault.reveal(&anna)?.credential().expose_password(), "correct horse");
//! # Ok(())
//! # }
//! ```
//!
//! All calls block; [`Vault`] is cheap to clone and can be used from many threads. The crate itself never looks at paths,
//! the environment or processes: it works on what it is given.
//!
//! The feature `tokio` adds calls for asynchronous code, `http` authorization for the requests of plugins, and `compiler`
//! support for components other than the embedded one.

mod age;
pub mod audit;
#[cfg(feature = "http")]
mod authorization;
pub mod component;
mod contract;
mod digest;
mod directory;
mod effects;
mod error;
mod keys;
pub mod maintenance;
mod operation;
mod ops;
pub mod plugin;
mod request;
mod restriction;
mod sandbox;
mod scope;
mod time_zone;
mod vault;

#[cfg(feature = "http")]
pub use authorization::{Authorization, AuthorizationScheme, Origin};
pub use contract::types::{
    Changes, Credential, EarlierVersion, Envelope, ErrorCode, Field, KeyInfo, KeyWeakness,
    MigrateOptions, PutOptions, RecordKind, Revealed, Rewritten, Stored, Summary, TokenEncoding,
    VersionHistory,
};
pub use directory::{Directory, Lock, MAX_FILE_BYTES, RefusedDirectory, RefusedFile};
pub use error::Error;
pub use keys::{
    KeyCache, KeyRing, KeySource, KeyState, KeyStrength, KeyUsage, MasterKey, RingDocument,
    RingError, RingKey, generate_key, generate_token, without_line_break,
};
pub use moat_format::expiry::Expiry;
pub use moat_format::field_name::RESERVED_FIELD_NAMES;
pub use moat_format::user_id::{UserId, UserIdError};
pub use moat_format::version::Version;
pub use operation::{Access, Operation};
pub use ops::{KeyMismatch, Leftover};
pub use sandbox::{Limits, Protection, Sandbox};
pub use scope::Scope;
pub use vault::{Builder, Vault};

pub use jiff;
pub use wasmtime;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use sandbox::fuzzing;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
