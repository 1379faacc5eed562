//! The sandbox: one fresh instance of the component per call, with a grant and limits, wiped when it ends.

mod answer;
mod backend;
mod call;
mod code;
#[cfg(fuzzing)]
pub mod fuzzing;
mod given;
mod grant;
mod imports;
mod limits;
mod memory;
mod self_test;
mod signal_stack;
mod ticker;
mod violation;
mod write_policy;

use std::io::ErrorKind;
use std::sync::{Arc, OnceLock};

use wasmtime::component::{Component, HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Config, Engine, Store, UpdateDeadline};

pub(crate) use answer::Answer;
pub(crate) use backend::VaultBackend;
pub(crate) use call::Call;
pub(crate) use grant::Grant;
pub use limits::Limits;
pub use memory::Protection;
pub(crate) use violation::Violation;

use crate::component::{BUILT, PRECOMPILED};
use crate::contract::ErrorCode;
use crate::digest::sha256;
use crate::error::Error;
use bindings::CredentialVault;
use bindings::exports::fossawork::credentials::{reveal, vault};
use ticker::Ticker;

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated from wit/")]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "credential-vault",
        imports: { default: trappable },
        with: { "fossawork:credentials/types": crate::contract::types },
    });
}

/// The component, loaded, checked and ready to be instantiated.
pub struct Sandbox {
    pre: InstancePre<Call>,
    vault: vault::GuestIndices,
    reveal: reveal::GuestIndices,
    imports: Vec<String>,
    ticker: Ticker,
    cpu: Option<&'static str>,
    /// Of a component other than the embedded one.
    digest: Option<String>,
    protection: Protection,
    self_test: OnceLock<()>,
}

impl Sandbox {
    /// The component embedded in this crate, in the best of its compiled forms that this CPU can run.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Sandbox`] when its code was altered or can't run on this CPU.
    pub fn embedded() -> Result<Self, Error> {
        let (engine, protection) = new_engine()?;
        Self::embedded_in(&engine, &protection)
    }

    /// The settings of an engine that can run the component, to be completed with others, so that the vault and the
    /// embedder's own components share an engine. Pass the protection to [`Self::in_engine`].
    ///
    /// With these settings the linear memory of every component in the engine is locked, kept out of core dumps and
    /// forks, and wiped when its instance ends. Only those of WebAssembly's proposals are enabled that the component needs;
    /// enable what your own components need. Every store needs a deadline in epochs; while a call of a vault runs, the
    /// engine's epoch advances by one every 10 ms.
    pub fn config() -> (Config, Protection) {
        let protection = Protection::default();
        let mut config = moat_engine::config();
        config
            .max_wasm_stack(Limits::STACK_BYTES)
            .with_host_memory(Arc::new(protection.creator()))
            .with_custom_code_memory(code::memory());
        (config, protection)
    }

    /// As [`Self::embedded`], in an engine that was made from [`Self::config`], with the protection from there.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Sandbox`] when the engine was made otherwise: with settings that the compiled component doesn't fit, or
    /// without the protection of its memory.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use moat::Sandbox;
    /// use moat::wasmtime::{Config, Engine};
    ///
    /// let (mut config, protection) = Sandbox::config();
    /// config.native_unwind_info(true);
    /// let engine = Engine::new(&config)?;
    /// let sandbox = Sandbox::in_engine(&engine, &protection)?;
    /// # let _ = sandbox;
    /// assert!(Sandbox::in_engine(&Engine::new(&Config::new())?, &protection).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_engine(engine: &Engine, protection: &Protection) -> Result<Self, Error> {
        let sandbox = Self::embedded_in(engine, protection)?;
        let before = protection.made();
        sandbox.self_test()?;
        if protection.made() == before {
            let message = "the engine was made without the protection of its memories";
            return Err(Error::new(ErrorCode::Sandbox, message));
        }
        Ok(sandbox)
    }

    fn embedded_in(engine: &Engine, protection: &Protection) -> Result<Self, Error> {
        let mut refusal = Error::new(ErrorCode::Sandbox, "the component was not compiled");
        for precompiled in &PRECOMPILED {
            let component = code::load(precompiled, engine).map_err(unusable(LOADED));
            match component.and_then(|component| Self::prepare(engine, &component, protection)) {
                Ok(sandbox) => return Ok(Self { cpu: Some(precompiled.cpu), ..sandbox }),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// A component compiled by the `Engine::precompile_component` of this very wasmtime, with epochs.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Sandbox`] when it imports more than the contract allows, or doesn't match it.
    ///
    /// # Safety
    ///
    /// The bytes become native code: they must come from that function, unaltered.
    #[allow(unsafe_code, reason = "loading compiled code")]
    pub unsafe fn from_precompiled(bytes: &[u8]) -> Result<Self, Error> {
        let (engine, protection) = new_engine()?;
        // SAFETY: the caller's promise.
        let component = unsafe { Component::deserialize(&engine, bytes) };
        let component = component.map_err(unusable(LOADED))?;
        let sandbox = Self::prepare(&engine, &component, &protection)?;
        Ok(Self { digest: Some(sha256(bytes)), ..sandbox })
    }

    /// Another component, if `expected` is its SHA-256 in hexadecimal, compiled for this CPU.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Sandbox`] when it has another digest, is not a component, imports more than the contract allows, or
    /// doesn't match it.
    #[cfg(feature = "compiler")]
    pub fn compile(bytes: &[u8], expected: &str) -> Result<Self, Error> {
        let digest = sha256(bytes);
        if !digest.eq_ignore_ascii_case(expected) {
            let message = format!("this is not the expected component: its SHA-256 is {digest}");
            return Err(Error::new(ErrorCode::Sandbox, message));
        }
        let (engine, protection) = new_engine()?;
        let component = Component::from_binary(&engine, bytes).map_err(unusable("compiled"))?;
        let sandbox = Self::prepare(&engine, &component, &protection)?;
        Ok(Self { digest: Some(digest), ..sandbox })
    }

    fn prepare(
        engine: &Engine,
        component: &Component,
        protection: &Protection,
    ) -> Result<Self, Error> {
        let imports = imports::checked(engine, component)?;
        let mut linker = Linker::new(engine);
        CredentialVault::add_to_linker::<_, HasSelf<Call>>(&mut linker, |call| call)
            .map_err(unusable("linked"))?;
        let pre = linker.instantiate_pre(component).map_err(unusable("linked"))?;
        Ok(Self {
            vault: vault::GuestIndices::new(&pre).map_err(unusable("linked"))?,
            reveal: reveal::GuestIndices::new(&pre).map_err(unusable("linked"))?,
            pre,
            imports,
            cpu: None,
            digest: None,
            ticker: Ticker::new(engine.clone()),
            protection: protection.clone(),
            self_test: OnceLock::new(),
        })
    }

    /// The interfaces that the component imports, sorted.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// SHA-256, in hexadecimal, of the component, of the embedded one when it was built; of its compiled form, if nothing
    /// else was handed over.
    pub fn digest(&self) -> &str {
        self.digest.as_deref().unwrap_or(BUILT)
    }

    /// The CPU that the embedded component's code was compiled for; `None` for another component.
    pub fn cpu(&self) -> Option<&'static str> {
        self.cpu
    }

    /// Whether the memory of every call so far could be locked against swapping.
    pub fn locks_memory(&self) -> bool {
        self.protection.locks()
    }

    /// Runs the known-answer test of the component, once per sandbox: it encrypts a known credential to a known record
    /// and decrypts that. The first call that may write does this by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Sandbox`] when the answer is not the known one.
    pub fn self_test(&self) -> Result<(), Error> {
        if self.self_test.get().is_none() {
            self_test::run(self)?;
            self.self_test.get_or_init(|| ());
        }
        Ok(())
    }

    /// Tries to store a credential without a key, with a key that is too short, and unencrypted. No file is touched.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Sandbox`] when any of it isn't refused.
    pub fn try_to_store_in_the_clear(&self) -> Result<(), Error> {
        self_test::try_to_store_in_the_clear(self)
    }

    /// Runs one function of the component in an instance of its own, and returns what it came to, together with what the
    /// host knows of the call. A failure is that of the call as a whole; those of the component are in its answer.
    ///
    /// # Errors
    ///
    /// When the call was not made.
    pub(crate) fn run<T>(
        &self,
        call: Call,
        function: impl Function<T>,
    ) -> Result<(Result<T, Error>, Call), Error> {
        if call.grant().access().write || call.grant().access().settings {
            self.self_test()?;
        }
        self.enter(call, function)
    }

    fn enter<T>(
        &self,
        call: Call,
        function: impl Function<T>,
    ) -> Result<(Result<T, Error>, Call), Error> {
        tracing::debug!(call = %call.grant(), "entering the sandbox");
        signal_stack::make()?;
        let mut store = Store::new(self.pre.engine(), call);
        store.limiter(|call| call);
        store.set_hostcall_fuel(Limits::VALUE_BYTES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            store.data().check_deadline()?;
            Ok(UpdateDeadline::Continue(1))
        });
        let ticking = self.ticker.start()?;
        let outcome = self
            .pre
            .instantiate(&mut store)
            .and_then(|instance| function(&Exports { instance, sandbox: self }, &mut store));
        drop(ticking);
        let call = store.into_data();
        tracing::debug!(guest_time = ?call.guest_time(), memory_bytes = call.memory_bytes(), "left the sandbox");
        let outcome = outcome.map_err(|error| {
            let error = violation::into_error(error);
            tracing::error!(call = %call.grant(), %error, "the component was aborted");
            error
        });
        Ok((outcome, call))
    }
}

/// What an instance of the component exports. An interface is looked up when it is called, since each lookup compares the
/// types of all its functions.
pub(crate) struct Exports<'s> {
    instance: Instance,
    sandbox: &'s Sandbox,
}

impl Exports<'_> {
    pub(crate) fn vault(&self, store: &mut Store<Call>) -> wasmtime::Result<vault::Guest> {
        self.sandbox.vault.load(store, &self.instance)
    }

    pub(crate) fn reveal(&self, store: &mut Store<Call>) -> wasmtime::Result<reveal::Guest> {
        self.sandbox.reveal.load(store, &self.instance)
    }
}

/// A function of the component, to be called with what it needs.
pub(crate) trait Function<T>:
    FnOnce(&Exports<'_>, &mut Store<Call>) -> wasmtime::Result<T>
{
}

impl<T, F> Function<T> for F where F: FnOnce(&Exports<'_>, &mut Store<Call>) -> wasmtime::Result<T> {}

/// What compiled code has to be to run.
const LOADED: &str = "loaded in this engine, on this CPU";

/// An engine for the component alone.
fn new_engine() -> Result<(Engine, Protection), Error> {
    let (config, protection) = Sandbox::config();
    let engine = Engine::new(&config).map_err(unusable("given an engine"))?;
    Ok((engine, protection))
}

fn unusable(what: &str) -> impl FnOnce(wasmtime::Error) -> Error {
    let message = format!("the component can't be {what}");
    move |error| match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(ErrorKind::PermissionDenied) => {
            let message = "this process may not make memory executable";
            Error::caused(ErrorCode::Unavailable, message, error)
        }
        _ => Error::caused(ErrorCode::Sandbox, message, error),
    }
}
