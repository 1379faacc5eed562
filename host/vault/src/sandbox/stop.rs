//! Why the sandbox stopped the component.

use std::fmt;

use super::outgoing::Reason;
use crate::contract::ErrorCode;
use crate::error::Error;

/// A reason of the host's own to stop the component; it reaches [`into_error`] through wasmtime as a trap.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It asked for something that this call was not granted. What exactly isn't told: the component chose it,
    /// and it may know a key.
    Denied { call: String, asked: &'static str },
    /// It tried to write something that is no record of the user, or not a safe one.
    Outgoing(Reason),
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
    /// It offered the host a key to keep that is none, or under a name that is none.
    NoKey,
    /// It went on writing when another process held the lock for longer than is waited.
    Locked,
    /// It told of a next page where the directory has none.
    Page,
    /// It asked for more random bytes at once than it may.
    Random,
    /// The host has no randomness.
    NoRandom,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { call, asked } => {
                write!(f, "during `{call}` it asked to {asked}, which it was not granted")
            }
            Self::Outgoing(reason) => {
                write!(f, "it tried to write what is no record of this user: {reason}")
            }
            Self::Deadline => f.write_str("it ran past its deadline"),
            Self::Memory => f.write_str("it asked for more memory than its limit"),
            Self::Table => f.write_str("it asked for a larger table than its limit"),
            Self::HostCalls => f.write_str("it called the host more often than its limit"),
            Self::HostBytes => f.write_str("it exchanged more bytes with the host than its limit"),
            Self::NoKey => f.write_str("it offered a key that is none"),
            Self::Locked => f.write_str("it went on although the directory stayed locked"),
            Self::Page => f.write_str("it told of a page that there is not"),
            Self::Random => f.write_str("it asked for too many random bytes at once"),
            Self::NoRandom => f.write_str("the system gives no random bytes"),
        }
    }
}

impl std::error::Error for Stop {}

/// What the caller is told of a call that did not come to an answer.
pub(crate) fn into_error(error: wasmtime::Error) -> Error {
    let reason = if let Some(stop) = error.downcast_ref::<Stop>() {
        stop.to_string()
    } else if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        trap.to_string()
    } else {
        // What remains are the host's own complaints about the component's values; they quote none.
        error.root_cause().to_string()
    };
    Error::caused(ErrorCode::Sandbox, format!("the sandbox stopped the component: {reason}"), error)
}
