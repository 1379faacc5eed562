//! What kind of record a file holds: a current one, or one of the application's past.

use moat_format::json_object::RawObject;
use moat_format::kdf::Kdf;
use moat_format::message::{Fault, Message};
use moat_format::record::{CRYPTO_AVAILABLE, ENCRYPTION_VERSION, KDF};
use moat_format::version::Version;

use crate::contract::{Error, RecordKind};
use crate::scheme::Scheme;

/// The kind of a record, and how its key is derived, from the members of its envelope.
pub(crate) fn classify(envelope: &RawObject) -> Result<(RecordKind, Scheme), Error> {
    if let Some(name) = envelope.find::<String>(ENCRYPTION_VERSION)? {
        let scheme = match Version::parse(&name)? {
            Version::V1 => Scheme::V1,
            Version::V2 => {
                let missing = || Error::malformed(Message::Member(KDF, Fault::Missing));
                Scheme::V2(Kdf::find(envelope)?.ok_or_else(missing)?)
            }
        };
        return Ok((RecordKind::Current, scheme));
    }
    match envelope.find(CRYPTO_AVAILABLE)? {
        Some(true) => Ok((RecordKind::LegacyEncrypted, Scheme::V1)),
        Some(false) => Ok((RecordKind::LegacyPlaintext, Scheme::V1)),
        None => Err(Error::malformed(Message::NeitherVersionNorKind)),
    }
}
