//! The clock of deadlines: advances the engine's epoch while calls are running, and sleeps otherwise.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

use crate::contract::ErrorCode;
use crate::error::Error;

/// How exactly a deadline is kept.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Ticker {
    engine: Engine,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    /// Whether the thread waits for a call.
    waiting: bool,
    closed: bool,
    /// Whether the thread was started.
    started: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and plain values can't be left half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticker {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, shared: Arc::new(Shared { state: Mutex::default(), wake: Condvar::new() }) }
    }

    /// Keeps the clock going until the guard is dropped. Its thread is started by the first call, so that a
    /// program can confine itself while it has but one. Fails when the system gives no thread.
    pub(crate) fn start(&self) -> Result<Ticking<'_>, Error> {
        let mut state = self.shared.state();
        if !state.started {
            self.start_thread().map_err(|error| {
                Error::caused(
                    ErrorCode::Unavailable,
                    "no thread can be started for the deadline of a call",
                    error,
                )
            })?;
            state.started = true;
        }
        state.running += 1;
        // It costs a system call even when nobody waits.
        if state.waiting {
            self.shared.wake.notify_one();
        }
        Ok(Ticking(&self.shared))
    }

    fn start_thread(&self) -> std::io::Result<()> {
        let (clock, engine) = (Arc::clone(&self.shared), self.engine.clone());
        let thread = thread::Builder::new().name("moat-deadlines".to_owned()).spawn(move || {
            loop {
                let mut state = clock.state();
                while state.running == 0 && !state.closed {
                    state.waiting = true;
                    state = clock.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.waiting = false;
                if state.closed {
                    return;
                }
                drop(state);
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        });
        thread.map(drop)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.wake.notify_one();
    }
}

pub(crate) struct Ticking<'t>(&'t Shared);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}
