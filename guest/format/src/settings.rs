//! The settings of a directory, [`moat.json`](crate::files::SETTINGS): how new records are written.
//!
//! ```json
//! {"record_version":"2.0","token_encoding":"documented","kdf":{"name":"…","salt":"…","rounds":600000}}
//! ```
//!
//! Every member may be missing, and so may the file.

use crate::error::FormatError;
use crate::json_object::RawObject;
use crate::kdf::Kdf;
use crate::token::Encoding;
use crate::version::Version;

/// The version of new records.
pub const RECORD_VERSION: &str = "record_version";

/// The encoding of new tokens.
pub const TOKEN_ENCODING: &str = "token_encoding";

/// What the known members say. A member that is missing is `None`.
#[derive(Debug, Default)]
pub struct Settings {
    /// The version of new records.
    pub version: Option<Version>,
    /// The encoding of new tokens.
    pub token_encoding: Option<Encoding>,
    /// From which version 2.0 derives the root key.
    pub kdf: Option<Kdf>,
}

impl Settings {
    /// Reads the known members.
    ///
    /// # Errors
    ///
    /// [`FormatError::Unsupported`] for a record version or a derivation that isn't known; [`FormatError::Malformed`] for
    /// anything else that is wrong with a member.
    pub fn read(object: &RawObject) -> Result<Self, FormatError> {
        let version: Option<String> = object.find(RECORD_VERSION)?;
        let encoding: Option<String> = object.find(TOKEN_ENCODING)?;
        Ok(Self {
            version: version.map(|name| Version::parse(&name)).transpose()?,
            token_encoding: encoding.map(|name| Encoding::parse(&name)).transpose()?,
            kdf: Kdf::find(object)?,
        })
    }
}
