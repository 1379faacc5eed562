//! Why a file can't be read as what the format says.

use std::fmt;

/// What is wrong with a file. The message names members and versions, and never quotes another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It doesn't have the form that it must have.
    Malformed(String),
    /// It states a version or a derivation that this program doesn't know.
    Unsupported(String),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Malformed(message) | Self::Unsupported(message)) = self;
        f.write_str(message)
    }
}

impl std::error::Error for FormatError {}
