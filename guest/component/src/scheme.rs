//! How the key of a record is derived.

use moat_format::kdf::Kdf;
use moat_format::version::Version;

/// A version with the parameters of its derivation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Version 1.0, or a record from before there were versions.
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
