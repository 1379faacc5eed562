//! Failures. What they say is one of the [`Message`]s, which carry no plaintext, key or token.

use crate::contract::{Error, ErrorCode};
use moat_format::error::FormatError;
use moat_format::message::Message;
use moat_format::user_id::UserIdError;

impl Error {
    /// A failure with its one line for people.
    pub fn new(code: ErrorCode, message: Message) -> Self {
        Self { code, message: message.to_string() }
    }

    pub(crate) fn malformed(message: Message) -> Self {
        Self::new(ErrorCode::Malformed, message)
    }
}

impl From<UserIdError> for Error {
    fn from(error: UserIdError) -> Self {
        Self { code: ErrorCode::InvalidUserId, message: error.to_string() }
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Malformed(message) => Self::malformed(message),
            FormatError::Unsupported(message) => Self::new(ErrorCode::UnsupportedVersion, message),
        }
    }
}
