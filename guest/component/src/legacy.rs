//! Tells current records from those of the application's past.

use crate::contract::{Error, RecordKind};
use crate::kdf::Kdf;
use crate::scheme::{Scheme, Version};
use moat_format::members::Members;

/// The member by which records from before versions say whether they were encrypted at all.
pub(crate) const CRYPTO_AVAILABLE: &str = "crypto_available";

/// The kind of a record, and how its key is derived, by its outer members.
pub(crate) fn classify(members: &Members) -> Result<(RecordKind, Scheme), Error> {
    if let Some(name) = members.find::<String>("encryption_version")? {
        let scheme = match Version::parse(&name)? {
            Version::V1 => Scheme::V1,
            Version::V2 => {
                let kdf = Kdf::find(members)?;
                Scheme::V2(kdf.ok_or_else(|| Error::malformed("`kdf` is missing"))?)
            }
        };
        return Ok((RecordKind::Current, scheme));
    }
    match members.find(CRYPTO_AVAILABLE)? {
        Some(true) => Ok((RecordKind::LegacyEncrypted, Scheme::V1)),
        Some(false) => Ok((RecordKind::LegacyPlaintext, Scheme::V1)),
        None => {
            Err(Error::malformed("neither `encryption_version` nor `crypto_available` is there"))
        }
    }
}
