//! Why the sandbox aborted the component.

use std::{fmt, io};

use super::memory::NO_MEMORY;
use super::write_policy::WriteRejected;
use crate::contract::ErrorCode;
use crate::error::Error;

/// A reason of the host's to abort the component; it reaches [`into_error`] through wasmtime as a trap.
#[derive(Debug)]
pub(crate) enum Violation {
    /// It asked for something that this call was not granted. What exactly isn't reported: the component chose it, and it
    /// may know a key.
    Denied { call: String, asked: &'static str },
    /// It tried to write something that is not a record of the user, or not a safe one.
    Write(WriteRejected),
    /// It ran longer than it may.
    Deadline,
    /// It asked for more memory than it may.
    Memory,
    /// It asked for a larger table than it may.
    Table,
    /// It called imports more often than it may.
    HostCalls,
    /// More bytes went through imports than may.
    HostBytes,
    /// It offered something to the key cache that is not a derived key.
    NotAKey,
    /// It kept writing although another process held the lock for longer than the host waits.
    Locked,
    /// It reported a next page that the directory doesn't have.
    Page,
    /// It asked for more random bytes at once than it may.
    Random,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { call, asked } => {
                write!(f, "during `{call}` it asked to {asked}, which it was not granted")
            }
            Self::Write(reason) => {
                write!(f, "it tried to write something that is not a record of this user: {reason}")
            }
            Self::Deadline => f.write_str("it ran past its deadline"),
            Self::Memory => f.write_str("it asked for more memory than its limit"),
            Self::Table => f.write_str("it asked for a larger table than its limit"),
            Self::HostCalls => f.write_str("it called the host more often than its limit"),
            Self::HostBytes => f.write_str("it exchanged more bytes with the host than its limit"),
            Self::NotAKey => f.write_str("it offered something that is not a derived key"),
            Self::Locked => f.write_str("it kept writing although the directory stayed locked"),
            Self::Page => f.write_str("it reported a page that doesn't exist"),
            Self::Random => f.write_str("it asked for too many random bytes at once"),
        }
    }
}

impl std::error::Error for Violation {}

/// The error of a call that did not come to an answer.
pub(crate) fn into_error(error: wasmtime::Error) -> Error {
    let error = match error.downcast::<Error>() {
        // The host itself couldn't go on.
        Ok(own) => return own,
        Err(error) => error,
    };
    let reason = if let Some(violation) = error.downcast_ref::<Violation>() {
        violation.to_string()
    } else if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        trap.to_string()
    } else if error.root_cause().to_string() == NO_MEMORY {
        let source = io::Error::from(io::ErrorKind::OutOfMemory);
        return Error::caused(ErrorCode::Unavailable, NO_MEMORY, source);
    } else {
        // What remains are the host's own complaints about the component's values; they quote none.
        error.root_cause().to_string()
    };
    Error::caused(ErrorCode::Sandbox, format!("the sandbox aborted the component: {reason}"), error)
}
