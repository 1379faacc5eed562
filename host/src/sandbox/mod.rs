//! The sandbox: one fresh instance of the component per call, with a grant, a memory cap and a deadline.

mod call;
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub mod contract;
mod engine;
mod grant;
mod imports;
mod limits;
mod stop;
mod ticker;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store, UpdateDeadline};

pub(crate) use call::Call;
pub(crate) use grant::Grant;
pub use grant::{Access, Operation};
pub(crate) use imports::ALLOWED_IMPORTS;
pub use limits::Limits;

use crate::error::Error;
use bindings::{CredentialVault, CredentialVaultPre};
use contract::ErrorCode;
use ticker::Ticker;

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated from wit/")]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "credential-vault",
        imports: { default: trappable },
        with: { "fossawork:credentials/types": crate::sandbox::contract },
    });
}

/// The component, loaded, checked and ready to be instantiated.
pub struct Sandbox {
    pre: CredentialVaultPre<Call>,
    imports: Vec<String>,
    ticker: Ticker,
    cpu: Option<&'static str>,
}

impl Sandbox {
    /// The component that this crate carries, in the best of its compiled forms that this CPU can run.
    pub fn embedded() -> Result<Self, Error> {
        let mut refusal = Error::new(ErrorCode::Sandbox, "the component was not compiled");
        for (cpu, precompiled) in crate::component::PRECOMPILED {
            // SAFETY: these bytes are what the build script's own `Engine::precompile_component` returned.
            #[allow(unsafe_code, reason = "loading code compiled by the build script")]
            match unsafe { Self::from_precompiled(precompiled) } {
                Ok(sandbox) => return Ok(Self { cpu: Some(cpu), ..sandbox }),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// A component compiled by the `Engine::precompile_component` of this very wasmtime, with epochs.
    ///
    /// Fails with [`ErrorCode::Sandbox`] when it imports more than the contract allows, or doesn't fit it.
    ///
    /// # Safety
    ///
    /// The bytes become native code: they must come from that function, unaltered.
    #[allow(unsafe_code, reason = "loading compiled code")]
    pub unsafe fn from_precompiled(bytes: &[u8]) -> Result<Self, Error> {
        let failed = |what: &str| {
            let message = format!("the component can't be {what}");
            move |error: wasmtime::Error| Error::caused(ErrorCode::Sandbox, message, error)
        };
        let engine = Engine::new(&engine::config()).map_err(failed("given an engine"))?;
        // SAFETY: the caller's promise.
        let component = unsafe { Component::deserialize(&engine, bytes) }
            .map_err(failed("loaded on this CPU"))?;
        let imports = imports::checked(&engine, &component)?;

        let mut linker = Linker::new(&engine);
        CredentialVault::add_to_linker::<_, HasSelf<Call>>(&mut linker, |call| call)
            .map_err(failed("linked"))?;
        let pre = linker.instantiate_pre(&component).map_err(failed("linked"))?;
        Ok(Self {
            pre: CredentialVaultPre::new(pre).map_err(failed("linked"))?,
            imports,
            cpu: None,
            ticker: Ticker::new(engine).map_err(|error| {
                Error::caused(ErrorCode::Sandbox, "the clock of deadlines can't be started", error)
            })?,
        })
    }

    /// The interfaces that the component imports, sorted.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The CPU that the embedded component's code was compiled for; `None` for another component.
    pub fn cpu(&self) -> Option<&'static str> {
        self.cpu
    }

    /// Runs one function of the component in an instance of its own.
    pub(crate) fn run<T>(
        &self,
        call: Call,
        function: impl FnOnce(
            &CredentialVault,
            &mut Store<Call>,
        ) -> wasmtime::Result<Result<T, contract::Error>>,
    ) -> Result<T, Error> {
        tracing::debug!(call = %call.grant(), "entering the sandbox");
        let mut store = Store::new(self.pre.engine(), call);
        store.limiter(|call| call);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            store.data().check_deadline()?;
            Ok(UpdateDeadline::Continue(1))
        });
        let ticking = self.ticker.start();
        let outcome =
            self.pre.instantiate(&mut store).and_then(|vault| function(&vault, &mut store));
        drop(ticking);
        let call = store.into_data();
        tracing::debug!(guest_time = ?call.guest_time(), memory_bytes = call.memory_bytes(), "left the sandbox");
        match outcome {
            Ok(outcome) => outcome.map_err(|error| call.explain(error)),
            Err(error) => Err(stop::into_error(error)),
        }
    }
}
