//! Signals that end the program. While it works on many records they are noted, the work stops between two records, and
//! then the signal takes its usual effect; a second one takes effect at once. While another program has the terminal,
//! those of its keys are that program's.

use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{self, SaFlags, SigAction, SigHandler, SigSet, Signal};

/// The signals with which users and systems end programs.
const SIGNALS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// Those that a terminal's keys send.
const OF_KEYS: [Signal; 2] = [Signal::SIGINT, Signal::SIGQUIT];

/// The signal that has arrived; 0 for none.
static ARRIVED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int) {
    ARRIVED.store(signal, Ordering::Relaxed);
}

extern "C" fn leave(_: libc::c_int) {}

/// While this exists, signals are noted or left to others, except those that the caller had ignored, as `nohup` does.
pub(super) struct Watch {
    /// What the signals did before.
    before: Vec<(Signal, SigAction)>,
}

impl Watch {
    /// Notes the signals that end the program.
    pub(super) fn begin() -> Self {
        let flags = SaFlags::SA_RESTART | SaFlags::SA_RESETHAND;
        Self::over(&SIGNALS, &SigAction::new(SigHandler::Handler(note), flags, SigSet::empty()))
    }

    /// Leaves the keys that end programs to the program that has the terminal. That one doesn't inherit it.
    pub(super) fn leave_keys() -> Self {
        let left = SigHandler::Handler(leave);
        Self::over(&OF_KEYS, &SigAction::new(left, SaFlags::SA_RESTART, SigSet::empty()))
    }

    fn over(signals: &[Signal], action: &SigAction) -> Self {
        let mut before = Vec::new();
        for &signal in signals {
            match set(signal, action) {
                Some(ignored) if matches!(ignored.handler(), SigHandler::SigIgn) => {
                    set(signal, &ignored);
                }
                Some(action) => before.push((signal, action)),
                None => {}
            }
        }
        Self { before }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            set(*signal, before);
        }
    }
}

/// Sets what a signal does, and returns what it did before.
fn set(signal: Signal, action: &SigAction) -> Option<SigAction> {
    // SAFETY: the handlers store a number in an atomic, or do nothing; all else was in effect before.
    #[allow(unsafe_code, reason = "a handler could be any function")]
    unsafe {
        signal::sigaction(signal, action).ok()
    }
}

/// The signal that has arrived.
pub(super) fn arrived() -> Option<Signal> {
    Signal::try_from(ARRIVED.load(Ordering::Relaxed)).ok()
}

/// Lets the signal that has arrived take its usual effect.
pub(super) fn take_effect() {
    if let Some(signal) = arrived() {
        let _ = signal::raise(signal);
    }
}
