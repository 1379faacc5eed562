//! Why a file can't be read as what the format says.

use std::fmt;

use crate::message::{Fault, Message};

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It doesn't have the form that it must have.
    Malformed(Message),
    /// It states a version or a derivation that this program doesn't know.
    Unsupported(Message),
}

impl FormatError {
    /// What is wrong with the member of this name.
    pub(crate) fn member(name: &'static str, fault: Fault) -> Self {
        Self::Malformed(Message::Member(name, fault))
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Malformed(message) | Self::Unsupported(message)) = self;
        message.fmt(f)
    }
}

impl std::error::Error for FormatError {}
