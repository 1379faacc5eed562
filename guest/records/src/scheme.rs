//! How the key of a record is derived.

use moat_format::kdf::Kdf;
use moat_format::version::Version;

use crate::contract::RootParameters;

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

    /// What the root key is derived from; `None` in version 1.0, which has none.
    pub(crate) fn root(&self) -> Option<RootParameters> {
        match self {
            Self::V1 => None,
            Self::V2(kdf) => Some(RootParameters { salt: kdf.salt.to_vec(), rounds: kdf.rounds }),
        }
    }
}
