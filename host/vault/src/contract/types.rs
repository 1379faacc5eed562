//! The values of the contract in `wit/types.wit`, as the host's own types: what is secret in them is wiped
//! when they are dropped, and never shown by `Debug`.
//!
//! The generated bindings take this module in place of one of their own, and so expect what stands at its end.

use std::fmt;

use moat_format::weakness::Weakness;
use wasmtime::component::{ComponentType, HasData, Lift, Linker, Lower};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Why a call failed. Decide by this; the message beside it is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ComponentType, Lift, Lower)]
#[component(enum)]
#[non_exhaustive]
#[repr(u8)]
pub enum ErrorCode {
    /// There is no credential of this user.
    #[component(name = "not-found")]
    NotFound,
    /// The user id is not one plain file name, or longer than a file name may be.
    #[component(name = "invalid-user-id")]
    InvalidUserId,
    /// The credential can't be stored as it is: a field's name is reserved, empty or given twice.
    #[component(name = "invalid-credential")]
    InvalidCredential,
    /// No master key: the ring is empty or its source gave nothing.
    #[component(name = "master-key-missing")]
    MasterKeyMissing,
    /// The primary key must not encrypt: it is too short, or it is the published default key.
    #[component(name = "master-key-refused")]
    MasterKeyRefused,
    /// No key of the ring opens the record: it is under another key, or it was altered.
    #[component(name = "wrong-key-or-tampered")]
    WrongKeyOrTampered,
    /// The file is not a credential record.
    #[component(name = "malformed")]
    Malformed,
    /// The record names a version that this component does not know.
    #[component(name = "unsupported-version")]
    UnsupportedVersion,
    /// A legacy record that is not protected: it has to be migrated first.
    #[component(name = "needs-migration")]
    NeedsMigration,
    /// Somebody else wrote in between, or the credential exists already.
    #[component(name = "conflict")]
    Conflict,
    /// Another process holds the directory's lock.
    #[component(name = "locked")]
    Locked,
    /// Outside of what this call was granted.
    #[component(name = "denied")]
    Denied,
    /// Over a stated limit.
    #[component(name = "too-large")]
    TooLarge,
    /// The directory failed: I/O, permissions, no space.
    #[component(name = "directory")]
    Directory,
    /// Too many calls in too short a time.
    #[component(name = "rate-limited")]
    RateLimited,
    /// The audit log can't be written, so nothing was released.
    #[component(name = "audit")]
    Audit,
    /// The sandbox stopped the component: a trap, a limit, or an access beyond the grant.
    #[component(name = "sandbox")]
    Sandbox,
}

impl ErrorCode {
    /// The code as the contract and all JSON spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::InvalidUserId => "invalid-user-id",
            Self::InvalidCredential => "invalid-credential",
            Self::MasterKeyMissing => "master-key-missing",
            Self::MasterKeyRefused => "master-key-refused",
            Self::WrongKeyOrTampered => "wrong-key-or-tampered",
            Self::Malformed => "malformed",
            Self::UnsupportedVersion => "unsupported-version",
            Self::NeedsMigration => "needs-migration",
            Self::Conflict => "conflict",
            Self::Locked => "locked",
            Self::Denied => "denied",
            Self::TooLarge => "too-large",
            Self::Directory => "directory",
            Self::RateLimited => "rate-limited",
            Self::Audit => "audit",
            Self::Sandbox => "sandbox",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure as it crosses the boundary of the component.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Error {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A further value kept with the credential, as secret as the password.
#[derive(Clone, ComponentType, Lift, Lower, Zeroize, ZeroizeOnDrop)]
#[component(record)]
pub struct Field {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Field {
    /// A value under a name that isn't empty, has no control characters and names no part of the credential.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret value.
    pub fn expose_value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The secret part of a record. Times are UTC without a zone: `2025-01-14T10:00:00`.
#[derive(Clone, ComponentType, Lift, Lower, Zeroize, ZeroizeOnDrop)]
#[component(record)]
pub struct Credential {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) fields: Vec<Field>,
    #[component(name = "created-at")]
    pub(crate) created_at: Option<String>,
    #[component(name = "last-used")]
    pub(crate) last_used: Option<String>,
    #[component(name = "is-valid")]
    pub(crate) is_valid: bool,
    #[component(name = "validation-attempts")]
    pub(crate) validation_attempts: u32,
}

impl Credential {
    /// A new credential, never used and never tried.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            fields: Vec::new(),
            created_at: None,
            last_used: None,
            is_valid: false,
            validation_attempts: 0,
        }
    }

    /// Adds a further value.
    #[must_use]
    pub fn with_field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Says when the credential was made, UTC without a zone (`2025-01-14T10:00:00`); otherwise it is when it is stored.
    #[must_use]
    pub fn with_created_at(mut self, time: impl Into<String>) -> Self {
        self.created_at = Some(time.into());
        self
    }

    /// The name to log in with.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The secret password.
    pub fn expose_password(&self) -> &str {
        &self.password
    }

    /// The further values.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("username", &self.username)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// Why a key is not fit to encrypt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ComponentType, Lift, Lower)]
#[component(enum)]
#[non_exhaustive]
#[repr(u8)]
pub enum KeyWeakness {
    /// It has fewer than 16 bytes.
    #[component(name = "too-short")]
    TooShort,
    /// It is the key that the FossaWork application published in its source.
    #[component(name = "published-default")]
    PublishedDefault,
}

impl From<Weakness> for KeyWeakness {
    fn from(weakness: Weakness) -> Self {
        match weakness {
            Weakness::TooShort => Self::TooShort,
            Weakness::PublishedDefault => Self::PublishedDefault,
        }
    }
}

/// A key of the ring, without its material.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The operator's label; `None` for a key without one.
    pub id: Option<String>,
    /// Whether this key encrypts.
    pub primary: bool,
    /// Why it ought to be replaced; `None` for a sound key.
    pub weakness: Option<KeyWeakness>,
}

/// A master key on its way into the sandbox.
#[derive(Clone, ComponentType, Lift, Lower, Zeroize, ZeroizeOnDrop)]
#[component(record)]
pub struct MasterKey {
    pub(crate) id: Option<String>,
    pub(crate) primary: bool,
    pub(crate) material: Vec<u8>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("id", &self.id)
            .field("primary", &self.primary)
            .finish_non_exhaustive()
    }
}

/// A derived key on its way into the sandbox or out of it.
#[derive(Clone, ComponentType, Lift, Lower, Zeroize, ZeroizeOnDrop)]
#[component(record)]
pub struct DerivedKey {
    pub(crate) material: Vec<u8>,
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedKey").finish_non_exhaustive()
    }
}

/// What kind of record a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ComponentType, Lift, Lower)]
#[component(enum)]
#[non_exhaustive]
#[repr(u8)]
pub enum RecordKind {
    /// A versioned, encrypted record.
    #[component(name = "current")]
    Current,
    /// The application's old fallback: base64 of the plain text, not encrypted.
    #[component(name = "legacy-plaintext")]
    LegacyPlaintext,
    /// Encrypted, but from before records had versions.
    #[component(name = "legacy-encrypted")]
    LegacyEncrypted,
}

impl RecordKind {
    /// The kind as the contract and all JSON spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::LegacyPlaintext => "legacy-plaintext",
            Self::LegacyEncrypted => "legacy-encrypted",
        }
    }
}

/// How `encrypted_data` spells the Fernet token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum TokenEncoding {
    /// The token itself, as the format is documented: `gAAAAAB…`.
    #[component(name = "documented")]
    Documented,
    /// The token in base64 once more, as the FossaWork application writes and reads it: `Z0FBQUFBQ…`.
    #[component(name = "app")]
    App,
}

impl TokenEncoding {
    /// The encoding as the contract and all JSON spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::App => "app",
        }
    }
}

/// What can be seen of a record without any key. None of it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct Envelope {
    /// What kind of record it is.
    pub kind: RecordKind,
    /// `encryption_version`; `None` for legacy records.
    pub version: Option<String>,
    /// How the token is spelled; `None` where there is no token.
    pub encoding: Option<TokenEncoding>,
    /// The label of the key that it says it is under; a hint.
    #[component(name = "key-id")]
    pub key_id: Option<String>,
    /// The file's outer `created_at`.
    #[component(name = "created-at")]
    pub created_at: Option<String>,
    /// The time inside the token: when it was encrypted. UTC, `2025-01-14T10:00:00`.
    #[component(name = "encrypted-at")]
    pub encrypted_at: Option<String>,
    /// How often the record was written; `None` in versions before 2.0, which don't count.
    #[component(name = "write-counter")]
    pub write_counter: Option<u32>,
    /// The file's size in bytes.
    pub size: u32,
    /// The file's revision, for a conditional write or removal.
    pub revision: String,
}

/// Everything but the password and the values of fields.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct Summary {
    /// Whose credential it is.
    #[component(name = "user-id")]
    pub user_id: String,
    /// The name to log in with.
    pub username: String,
    /// The names of the further values.
    #[component(name = "field-names")]
    pub field_names: Vec<String>,
    /// When the credential was made.
    #[component(name = "created-at")]
    pub created_at: Option<String>,
    /// When it was last used; `None`: never.
    #[component(name = "last-used")]
    pub last_used: Option<String>,
    /// Whether the last login attempt with it succeeded.
    #[component(name = "is-valid")]
    pub is_valid: bool,
    /// How many login attempts were reported.
    #[component(name = "validation-attempts")]
    pub validation_attempts: u32,
    /// The key that it is under.
    pub key: KeyInfo,
    /// The outside of its record.
    pub envelope: Envelope,
}

/// The functions of the interface, of which there are none.
pub trait Host {}

impl<T: ?Sized> Host for &mut T {}

/// The functions of the interface that need the store, of which there are none.
pub trait HostWithStore<T>: HasData {}

impl<T, D: ?Sized + HasData> HostWithStore<T> for D {}

/// Gives a component the interface of types alone.
pub fn add_to_linker<T: 'static, D: HostWithStore<T>>(
    linker: &mut Linker<T>,
    _host: fn(&mut T) -> D::Data<'_>,
) -> wasmtime::Result<()>
where
    for<'a> D::Data<'a>: Host,
{
    linker.instance("fossawork:credentials/types@1.0.0").map(drop)
}
