//! Tells current records from those of the application's past.

use crate::contract::{Error, ErrorCode, RecordKind};
use crate::members::Members;

/// The record version that is read and written here.
pub(crate) const VERSION_1: &str = "1.0";

/// The member by which records from before versions say whether they were encrypted at all.
pub(crate) const CRYPTO_AVAILABLE: &str = "crypto_available";

/// The kind of a record and its version, by its outer members.
pub(crate) fn classify(members: &Members) -> Result<(RecordKind, Option<String>), Error> {
    if let Some(version) = members.find::<String>("encryption_version")? {
        return if version == VERSION_1 {
            Ok((RecordKind::Current, Some(version)))
        } else {
            let version: String = version.chars().take(20).collect();
            let message = format!("encryption_version {version:?} is unknown");
            Err(Error::new(ErrorCode::UnsupportedVersion, message))
        };
    }
    match members.find(CRYPTO_AVAILABLE)? {
        Some(true) => Ok((RecordKind::LegacyEncrypted, None)),
        Some(false) => Ok((RecordKind::LegacyPlaintext, None)),
        None => {
            Err(Error::malformed("neither `encryption_version` nor `crypto_available` is there"))
        }
    }
}
