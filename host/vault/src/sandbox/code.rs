//! The machine code of the embedded component. On x86-64 it is part of the program's own code, and the first engine of a
//! process runs it there: nothing is copied, processes share it, it can never be written, and no memory has to be made
//! executable, which systems can forbid. Others run a copy.
//!
//! Elsewhere all run a copy, since there a CPU's cache of instructions has to be told of code that is new to it, which
//! wasmtime does for what it makes executable itself.

#![allow(unsafe_code, reason = "loading compiled code")]

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Engine};

use crate::component::{PRECOMPILED, Precompiled};

/// Whether code can run in its place.
const CAN_RUN_IN_PLACE: bool = cfg!(target_arch = "x86_64");

/// The size of the pages of x86-64.
const PAGE: usize = 0x1000;

/// Loads compiled code into an engine.
pub(super) fn load(precompiled: &Precompiled, engine: &Engine) -> wasmtime::Result<Component> {
    let Precompiled { code, runs, .. } = precompiled;
    if CAN_RUN_IN_PLACE && !runs.swap(true, Ordering::AcqRel) {
        // SAFETY: these bytes are what the build script's own `Engine::precompile_component` returned. They live as long as
        // the program, and no other engine has them.
        match unsafe { Component::deserialize_raw(engine, NonNull::from(*code)) } {
            Ok(component) => return Ok(component),
            Err(_) => runs.store(false, Ordering::Release),
        }
    }
    // SAFETY: as above.
    unsafe { Component::deserialize(engine, code) }
}

/// How an engine makes code executable; `None`: as wasmtime does.
pub(super) fn memory() -> Option<Arc<dyn CustomCodeMemory>> {
    CAN_RUN_IN_PLACE.then(|| Arc::new(InPlace) as _)
}

/// Makes a copy executable; the code of the program itself is.
struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    fn publish_executable(&self, code: *const u8, size: usize) -> wasmtime::Result<()> {
        if PRECOMPILED.iter().any(|precompiled| precompiled.code.as_ptr_range().contains(&code)) {
            return Ok(());
        }
        // SAFETY: whole pages of code, which nobody writes to, and which remain readable.
        unsafe {
            mprotect(code.cast_mut().cast(), size, MprotectFlags::READ | MprotectFlags::EXEC)
        }
        .map_err(io::Error::from)?;
        Ok(())
    }

    /// The pages stay as they are: what isn't the program's own is unmapped next.
    fn unpublish_executable(&self, _code: *const u8, _size: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
