//! The one error of this crate.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::contract::ErrorCode;

/// A failure: a code to decide by, one line for people, and the cause where there is one.
///
/// The message never carries plaintext, a key or a token.
#[derive(Debug)]
pub struct Error {
    code: ErrorCode,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure with its line for people: lower case, no full stop, no secret.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), source: None }
    }

    /// A failure that another error caused.
    pub fn caused(
        code: ErrorCode,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { source: Some(source.into()), ..Self::new(code, message) }
    }

    /// The component's answer doesn't fit what it was asked.
    pub(crate) fn answer(wrong: &str) -> Self {
        Self::new(ErrorCode::Sandbox, format!("the component {wrong}"))
    }

    /// The operating system gave no random bytes.
    pub(crate) fn no_randomness(source: getrandom::Error) -> Self {
        Self::caused(ErrorCode::Unavailable, "the system gives no random bytes", source)
    }

    /// A failure of the directory.
    pub(crate) fn io(doing: impl fmt::Display, source: io::Error) -> Self {
        Self::caused(ErrorCode::Directory, format!("{doing}: {source}"), source)
    }

    /// The code to decide by.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The kind of the I/O error at the bottom, if there is one.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        let mut error: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(cause) = error {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                return Some(io.kind());
            }
            error = cause.source();
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
