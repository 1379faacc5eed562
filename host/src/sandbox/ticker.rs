//! The clock of deadlines: advances the engine's epoch while calls are running, and sleeps otherwise.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// How exactly a deadline is kept.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and two plain values can't be left half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticker {
    /// Starts the clock's thread. Fails when the system gives no thread.
    pub(crate) fn new(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new() });
        let clock = Arc::clone(&shared);
        thread::Builder::new().name("moat-deadlines".to_owned()).spawn(move || {
            loop {
                let mut state = clock.state();
                while state.running == 0 && !state.closed {
                    state = clock.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.closed {
                    return;
                }
                drop(state);
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Self { shared })
    }

    /// Keeps the clock going until the guard is dropped.
    pub(crate) fn start(&self) -> Ticking<'_> {
        self.shared.state().running += 1;
        self.shared.wake.notify_one();
        Ticking(&self.shared)
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
