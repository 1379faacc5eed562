//! The record, the JSON file `<user id>.cred`: its size and the names of its members.

/// The largest record in bytes, read or written; so is any file of the directory.
pub const MAX_BYTES: usize = 64 * 1024;

/// How much of [`MAX_BYTES`] a new record leaves free, in bytes, so that it can later be marked, encrypted with a key of
/// a longer label, and brought to version 2.0. All of these together add at most 2,000 bytes.
pub const HEADROOM: usize = 4 * 1024;

/// The longest label of a key that encrypts, in bytes: each of its records bears it.
pub const MAX_LABEL_BYTES: usize = 64;

/// Whose record it is.
pub const USER_ID: &str = "user_id";
/// The Fernet token.
pub const ENCRYPTED_DATA: &str = "encrypted_data";
/// The record's version.
pub const ENCRYPTION_VERSION: &str = "encryption_version";
/// When the credential was created.
pub const CREATED_AT: &str = "created_at";
/// The label of the master key.
pub const KEY_ID: &str = "key_id";
/// How the root key is derived; version 2.0 only.
pub const KDF: &str = "kdf";
/// How often the record was written; version 2.0 only.
pub const WRITE_COUNTER: &str = "write_counter";

/// The members of a record of version 1.0.
pub const MEMBERS: [&str; 5] = [USER_ID, ENCRYPTED_DATA, ENCRYPTION_VERSION, CREATED_AT, KEY_ID];

/// The members that only version 2.0 has.
pub const MEMBERS_OF_2: [&str; 2] = [KDF, WRITE_COUNTER];
