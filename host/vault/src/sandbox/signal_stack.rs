//! The stack for signal handlers that wasmtime gives each thread with its first call.

use std::cell::Cell;
use std::hint::black_box;
use std::io;

use wasmtime::Engine;

use super::memory::NO_MEMORY;
use crate::contract::ErrorCode;
use crate::error::Error;

/// More than wasmtime allocates, in bytes.
const ENOUGH: usize = 512 * 1024;

thread_local! {
    static IS_MADE: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread's. wasmtime panics if the system gives no memory for it, so this tries first whether it does.
///
/// # Errors
///
/// [`ErrorCode::Unavailable`] when it doesn't.
pub(super) fn make() -> Result<(), Error> {
    if IS_MADE.get() {
        return Ok(());
    }
    let mut tried: Vec<u8> = Vec::new();
    tried.try_reserve_exact(ENOUGH).map_err(|_| {
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        Error::caused(ErrorCode::Unavailable, NO_MEMORY, error)
    })?;
    drop(black_box(tried));
    Engine::tls_eager_initialize();
    IS_MADE.set(true);
    Ok(())
}
