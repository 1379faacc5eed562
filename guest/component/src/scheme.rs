//! The versions of the record, which differ in how a user's key comes from a master key.

use crate::contract::{Error, ErrorCode};
use crate::kdf::Kdf;

/// A version of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 1.0, the application's: one slow derivation for each user.
    V1,
    /// 2.0: one for each master key, and more of the record is authenticated.
    V2,
}

impl Version {
    /// The version of this name. Fails with `unsupported-version`.
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "1.0" => Ok(Self::V1),
            "2.0" => Ok(Self::V2),
            _ => {
                let name: String = name.chars().take(20).collect();
                let message = format!("record version {name:?} is unknown");
                Err(Error::new(ErrorCode::UnsupportedVersion, message))
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

/// A version with what its derivation needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Version 1.0, or from before there were versions.
    #[default]
    V1,
    /// Version 2.0.
    V2(Kdf),
}

impl Scheme {
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::V1 => Version::V1,
            Self::V2(_) => Version::V2,
        }
    }
}
