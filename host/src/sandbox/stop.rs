//! Why the sandbox stopped the component.

use std::fmt;

use crate::contract::ErrorCode;
use crate::error::Error;

/// A reason of the host's own to stop the component; it reaches [`into_error`] through wasmtime as a trap.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It asked for something that this call was not granted.
    Denied { grant: String, asked: String },
    /// It ran longer than it may.
    Deadline,
    /// It asked for more memory, tables or instances than it may.
    Memory,
    /// It asked for more random bytes at once than it may.
    Random,
    /// The host has no randomness.
    NoRandom,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { grant, asked } => {
                write!(f, "during `{grant}` it asked to {asked}, which it was not granted")
            }
            Self::Deadline => f.write_str("it ran past its deadline"),
            Self::Memory => f.write_str("it asked for more memory than its limit"),
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
