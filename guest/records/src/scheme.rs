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
            Self::V2(kdf) => Some(root_parameters(kdf)),
        }
    }

    /// Whether records of this scheme can be encrypted with a key that is strong, or not: version 2.0 has one derivation for
    /// each kind.
    pub(crate) fn is_for_key(&self, is_strong: bool) -> bool {
        match self {
            Self::V1 => true,
            Self::V2(kdf) => kdf.rounds.is_none() == is_strong,
        }
    }

    /// The scheme of the same version and salt that is for a key that is strong, or not; `None` when the rounds that it
    /// takes aren't known here.
    pub(crate) fn with_key(&self, is_strong: bool) -> Option<Self> {
        match self {
            Self::V2(kdf) if is_strong => Some(Self::V2(Kdf { salt: kdf.salt, rounds: None })),
            other => other.is_for_key(is_strong).then(|| other.clone()),
        }
    }
}

/// What the root key is derived from.
pub(crate) fn root_parameters(kdf: &Kdf) -> RootParameters {
    RootParameters { salt: kdf.salt.to_vec(), rounds: kdf.rounds }
}
