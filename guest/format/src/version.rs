//! The versions of the record.

use std::fmt;

use crate::error::FormatError;
use crate::message::Message;

/// A version of the record. They differ in how a user's key is derived and in what is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 1.0, the FossaWork application's: one slow derivation per user.
    #[default]
    V1,
    /// 2.0: one slow derivation per master key and directory; more of the record is authenticated.
    V2,
}

impl Version {
    /// All versions.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The version of this name.
    ///
    /// # Errors
    ///
    /// [`FormatError::Unsupported`] for an unknown one.
    pub fn parse(name: &str) -> Result<Self, FormatError> {
        let unknown = FormatError::Unsupported(Message::UnknownVersion);
        Self::ALL.into_iter().find(|version| version.name() == name).ok_or(unknown)
    }

    /// The value of `encryption_version`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_a_name() {
        assert_eq!(Version::ALL.map(Version::name), ["1.0", "2.0"]);
        for version in Version::ALL {
            assert_eq!(Version::parse(&version.to_string()), Ok(version));
        }
        for name in ["", "1", "1.0 ", "3.0"] {
            assert!(matches!(Version::parse(name), Err(FormatError::Unsupported(_))), "{name}");
        }
    }
}
