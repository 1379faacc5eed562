//! Failures. A message never carries plaintext, a key or a token, nor the text of a parser's error, which
//! could quote them.

use crate::contract::{Error, ErrorCode};
use moat_format::error::FormatError;
use moat_format::user_id::UserIdError;

impl Error {
    /// A failure with its one line for people.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Malformed, message)
    }
}

impl From<UserIdError> for Error {
    fn from(error: UserIdError) -> Self {
        Self::new(ErrorCode::InvalidUserId, error.to_string())
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
