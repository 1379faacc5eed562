//! The types of the contract, `wit/types.wit`, as the host's own: secrets in them are wiped when they are dropped, and
//! never shown by `Debug`.
//!
//! The generated bindings use this module in place of one of their own, and so expect what is at its end.

use std::fmt;
use std::time::Duration;

use moat_format::key_strength::Weakness;
use moat_format::token::Encoding;
use wasmtime::component::{ComponentType, HasData, Lift, Linker, Lower};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::age;

/// An enum of the contract whose names stand once: in WIT, in JSON and in the audit log they are the same.
macro_rules! named_enum {
    ($(#[$of_enum:meta])* $enum:ident { $($(#[$of_case:meta])* $case:ident = $name:literal,)+ }) => {
        $(#[$of_enum])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ComponentType, Lift, Lower)]
        #[component(enum)]
        #[repr(u8)]
        pub enum $enum {
            $($(#[$of_case])* #[component(name = $name)] $case,)+
        }

        impl $enum {
            /// The name in the contract, in JSON and in the audit log.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $name,)+
                }
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named_enum! {
    /// Why a call failed. Decide by this; the message beside it is for people.
    #[non_exhaustive]
    ErrorCode {
        /// There is no credential of this user.
        NotFound = "not-found",
        /// The user id is not one plain file name, or longer than a file name may be.
        InvalidUserId = "invalid-user-id",
        /// The credential can't be stored as it is: a field's name is reserved, empty or given twice.
        InvalidCredential = "invalid-credential",
        /// No master key: the ring is empty or its source gave nothing.
        MasterKeyMissing = "master-key-missing",
        /// The primary key must not encrypt: it is too short, or it is the published default key.
        MasterKeyRefused = "master-key-refused",
        /// No key of the ring decrypts the record: it was encrypted with another key, or altered.
        WrongKeyOrTampered = "wrong-key-or-tampered",
        /// The file is not a credential record.
        Malformed = "malformed",
        /// The record names a version that this component does not know.
        UnsupportedVersion = "unsupported-version",
        /// A legacy record that is not protected: it has to be migrated first.
        NeedsMigration = "needs-migration",
        /// Somebody else wrote in between, or the credential already exists.
        Conflict = "conflict",
        /// Another process holds the directory's lock.
        Locked = "locked",
        /// Not covered by what this call was granted.
        Denied = "denied",
        /// Over a stated limit.
        TooLarge = "too-large",
        /// The directory failed: I/O, permissions, no space.
        Directory = "directory",
        /// Too many calls in too short a time.
        RateLimited = "rate-limited",
        /// The audit log can't be written, so nothing was released.
        Audit = "audit",
        /// The sandbox aborted the component: a trap, a limit, or an access beyond the grant.
        Sandbox = "sandbox",
        /// The system gave the host no random bytes, thread or memory, or the host is shutting down.
        Unavailable = "unavailable",
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

/// An additional value stored with the credential, as secret as the password.
#[derive(Clone, ComponentType, Lift, Lower, Zeroize, ZeroizeOnDrop)]
#[component(record)]
pub struct Field {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Field {
    /// A value with a name that isn't empty, has no control characters and is not that of a part of the credential.
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
    pub(crate) expires: Option<String>,
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
            expires: None,
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with_field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Sets when the credential was created, UTC without a zone (`2025-01-14T10:00:00`); the default is when it is stored.
    #[must_use]
    pub fn with_created_at(mut self, time: impl Into<String>) -> Self {
        self.created_at = Some(time.into());
        self
    }

    /// Sets when the credential was last used, UTC without a zone; the default is never.
    #[must_use]
    pub fn with_last_used(mut self, time: impl Into<String>) -> Self {
        self.last_used = Some(time.into());
        self
    }

    /// Sets how many login attempts were reported, and whether the last of them succeeded; the default is none.
    #[must_use]
    pub fn with_validation(mut self, is_valid: bool, attempts: u32) -> Self {
        self.is_valid = is_valid;
        self.validation_attempts = attempts;
        self
    }

    /// Sets when the credential expires: at a time, UTC without a zone (`2025-01-14T10:00:00`), or at an age in days (`90d`).
    /// The default is never, which is also said by `never`.
    #[must_use]
    pub fn with_expires(mut self, expires: impl Into<String>) -> Self {
        self.expires = Some(expires.into());
        self
    }

    /// When the credential expires, as [`Self::with_expires`] sets it.
    pub fn expires(&self) -> Option<&str> {
        self.expires.as_deref()
    }

    /// When the credential was created; of one that is yet to be stored, `None` for "now".
    pub fn created_at(&self) -> Option<&str> {
        self.created_at.as_deref()
    }

    /// The name to log in with.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The secret password.
    pub fn expose_password(&self) -> &str {
        &self.password
    }

    /// The additional values.
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

named_enum! {
    /// Why a key is not fit to encrypt with.
    #[non_exhaustive]
    KeyWeakness {
        /// It has fewer than 16 bytes.
        TooShort = "too-short",
        /// It is the key that the FossaWork application published in its source.
        PublishedDefault = "published-default",
    }
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
    /// Why it should be replaced; `None` for a strong key.
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

named_enum! {
    /// What kind of record a file holds.
    #[non_exhaustive]
    RecordKind {
        /// A versioned, encrypted record.
        Current = "current",
        /// The application's old fallback: base64 of the plaintext, not encrypted.
        LegacyPlaintext = "legacy-plaintext",
        /// Encrypted, but from before records had versions.
        LegacyEncrypted = "legacy-encrypted",
    }
}

named_enum! {
    /// How `encrypted_data` encodes the Fernet token.
    TokenEncoding {
        /// The token itself, as the format is documented: `gAAAAAB…`.
        Documented = "documented",
        /// The token in base64 once more, as the FossaWork application writes and reads it: `Z0FBQUFBQ…`.
        App = "app",
    }
}

impl From<Encoding> for TokenEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Documented => Self::Documented,
            Encoding::App => Self::App,
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
    /// How the token is encoded; `None` where there is no token.
    pub encoding: Option<TokenEncoding>,
    /// The label of the key that it says it is encrypted with; a hint.
    #[component(name = "key-id")]
    pub key_id: Option<String>,
    /// The envelope's `created_at`.
    #[component(name = "created-at")]
    pub created_at: Option<String>,
    /// When it was encrypted, as the token states. UTC, `2025-01-14T10:00:00`.
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
    /// The names of the additional values.
    #[component(name = "field-names")]
    pub field_names: Vec<String>,
    /// When the credential was created.
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
    /// When it expires: a time, or an age in days counted from `created_at`, such as `90d`; `None`: never.
    pub expires: Option<String>,
    /// The time at which it expires; `None`: never, or not to be told from what it says.
    #[component(name = "expires-at")]
    pub expires_at: Option<String>,
    /// How many earlier versions of it are kept.
    #[component(name = "earlier-versions")]
    pub earlier_versions: u32,
    /// The key that it is encrypted with.
    pub key: KeyInfo,
    /// The envelope of its record.
    pub envelope: Envelope,
}

impl Summary {
    /// Whether it has expired, or will have within this time. So has one that expires at a time that can't be told, or at an age
    /// that a clock which was wrong makes longer.
    pub fn expires_within(&self, time: Duration) -> bool {
        self.expires.is_some()
            && (age::is_over_by(self.expires_at.as_deref(), time)
                || age::is_in_the_future(self.created_at.as_deref()))
    }
}

/// A decrypted record.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Revealed {
    pub(crate) credential: Credential,
    pub(crate) summary: Summary,
}

impl Revealed {
    /// The secrets.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Everything else.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

/// How [`crate::Vault::put`] writes.
#[derive(Clone, Debug, Default, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct PutOptions {
    /// Fail when the credential exists.
    #[component(name = "create-only")]
    pub create_only: bool,
    /// Fail unless the record has this revision.
    #[component(name = "expected-revision")]
    pub expected_revision: Option<String>,
    /// The record version, 1.0 or 2.0; `None`: that of the record that is replaced, or of the directory.
    pub version: Option<String>,
    /// How the token is encoded; `None`: as the vault is set, or as in the record that is replaced, or as the directory is
    /// set.
    #[component(name = "encoding")]
    pub token_encoding: Option<TokenEncoding>,
    /// Keep what the record before has and the new credential doesn't: its fields, when it expires, and members that are
    /// not known here.
    #[component(name = "keep-fields")]
    pub keep_fields: bool,
}

impl PutOptions {
    /// Fails when the credential exists.
    #[must_use]
    pub fn create_only(mut self) -> Self {
        self.create_only = true;
        self
    }

    /// Fails unless the record has this revision.
    #[must_use]
    pub fn expected_revision(mut self, revision: impl Into<String>) -> Self {
        self.expected_revision = Some(revision.into());
        self
    }

    /// Writes this version of the record, 1.0 or 2.0.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Encodes the token this way.
    #[must_use]
    pub fn token_encoding(mut self, encoding: TokenEncoding) -> Self {
        self.token_encoding = Some(encoding);
        self
    }

    /// Keeps what the record before has and the new credential doesn't.
    #[must_use]
    pub fn keep_fields(mut self) -> Self {
        self.keep_fields = true;
        self
    }
}

/// What [`crate::Vault::change`] changes of a credential; everything else stays as it is. `Debug` hides the password and
/// the values of fields.
#[derive(Clone, Default, ComponentType, Lift, Lower, Zeroize, ZeroizeOnDrop)]
#[component(record)]
pub struct Changes {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) fields: Vec<Field>,
    #[component(name = "removed-fields")]
    pub(crate) removed_fields: Vec<String>,
    pub(crate) expires: Option<String>,
    #[component(name = "forget-history")]
    pub(crate) forget_history: bool,
}

impl Changes {
    /// The name to log in with.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password. A new one restarts the credential's age: it was created now.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// A field to add, or to replace.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// The name of a field to remove.
    #[must_use]
    pub fn without_field(mut self, name: impl Into<String>) -> Self {
        self.removed_fields.push(name.into());
        self
    }

    /// When it expires: at a time (`2025-01-14T10:00:00`), at an age in days (`90d`), or `never`.
    #[must_use]
    pub fn expires(mut self, expires: impl Into<String>) -> Self {
        self.expires = Some(expires.into());
        self
    }

    /// Removes all earlier versions, and keeps none of what is replaced now.
    #[must_use]
    pub fn forget_history(mut self) -> Self {
        self.forget_history = true;
        self
    }
}

/// An earlier version of a credential, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct EarlierVersion {
    /// Its number, by which it can be restored; later ones have greater numbers.
    pub number: u32,
    /// The name to log in with.
    pub username: String,
    /// The names of the additional values.
    #[component(name = "field-names")]
    pub field_names: Vec<String>,
    /// When it was created.
    #[component(name = "created-at")]
    pub created_at: Option<String>,
    /// When another took its place.
    #[component(name = "replaced-at")]
    pub replaced_at: String,
}

/// What a credential was before.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct VersionHistory {
    /// The credential as it is now.
    pub summary: Summary,
    /// The versions that are kept, the latest first.
    pub versions: Vec<EarlierVersion>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What [`crate::Vault::put`] did.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct Stored {
    /// The record as it is now.
    pub summary: Summary,
    /// Whether there was one before.
    pub replaced: bool,
    /// Fields of the record before that the new one doesn't have.
    #[component(name = "dropped-fields")]
    pub dropped_fields: Vec<String>,
}

/// What a removal did.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Removed {
    pub(crate) existed: bool,
}

/// How [`crate::Vault::migrate`] writes.
#[derive(Clone, Debug, Default, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct MigrateOptions {
    /// Go through all of it, but write nothing.
    #[component(name = "dry-run")]
    pub dry_run: bool,
    /// Trust records that are encrypted with the application's published default key, and re-encrypt them. Anyone who
    /// could write to the directory may have chosen what is in them.
    #[component(name = "accept-default-key")]
    pub accept_default_key: bool,
    /// Trust records that are not encrypted, and encrypt them. Anyone who could write to the directory may have chosen
    /// what is in them.
    #[component(name = "accept-plaintext")]
    pub accept_plaintext: bool,
    /// The record version to migrate to, 1.0 or 2.0; `None`: legacy kinds get the directory's, all others keep theirs.
    pub version: Option<String>,
    /// How tokens are encoded, also those of current records of version 1.0; `None`: as the vault is set, or as they
    /// were. A record without a token gets one as the directory is set, or else as the application reads it.
    #[component(name = "encoding")]
    pub token_encoding: Option<TokenEncoding>,
}

impl MigrateOptions {
    /// Goes through all of it, but writes nothing.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Trusts records that are encrypted with the application's published default key.
    #[must_use]
    pub fn accept_default_key(mut self) -> Self {
        self.accept_default_key = true;
        self
    }

    /// Trusts records that are not encrypted.
    #[must_use]
    pub fn accept_plaintext(mut self) -> Self {
        self.accept_plaintext = true;
        self
    }

    /// Migrates to this record version, 1.0 or 2.0.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Encodes tokens this way.
    #[must_use]
    pub fn token_encoding(mut self, encoding: TokenEncoding) -> Self {
        self.token_encoding = Some(encoding);
        self
    }
}

/// What became of a record that was to be rewritten.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
#[non_exhaustive]
pub struct Rewritten {
    /// Whose record it is.
    #[component(name = "user-id")]
    pub user_id: String,
    /// The envelope of the record as it was found.
    pub before: Envelope,
    /// The key that it was encrypted with; `None`: it was not encrypted.
    pub key: Option<KeyInfo>,
    /// Whether it was rewritten; in a dry run, whether it would be.
    pub changed: bool,
}

/// A file that is neither a record nor the program's own, as the component lists it.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Leftover {
    pub(crate) name: String,
    #[component(name = "backup-of")]
    pub(crate) backup_of: Option<String>,
}

/// A page of the leftovers. It may be empty and yet not the last.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct LeftoverPage {
    pub(crate) leftovers: Vec<Leftover>,
    pub(crate) next: Option<String>,
}

/// What `configure` did.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Configured {
    pub(crate) changed: bool,
}

/// A page of the users. It may be empty and yet not the last.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct UserPage {
    #[component(name = "user-ids")]
    pub(crate) user_ids: Vec<String>,
    pub(crate) next: Option<String>,
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
