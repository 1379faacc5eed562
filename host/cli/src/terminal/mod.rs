//! Asking for secrets at the terminal: nothing of an answer is shown, and whatever ends or stops the program meanwhile,
//! the terminal is restored.

mod line;

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{getpgrp, kill_current_process_group};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcdrain,
    tcflush, tcgetattr, tcgetpgrp, tcsetattr,
};
use zeroize::Zeroizing;

use line::{Line, Typed};

/// The signals with which users and systems end, stop and resume programs. They are blocked while the terminal is
/// altered. SIGTTIN is not: if it were, reading in the background would fail instead of waiting for the foreground.
const SIGNALS: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGTERM,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGTTOU,
];

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The input ended before the line did.
    Cancelled,
    /// The line is longer than [`crate::ambient::MAX_SECRET_BYTES`].
    TooLong,
    Io(io::Error),
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A terminal that doesn't show what is typed, until this is dropped. If a signal arrives, the terminal is restored
/// first, then the signal takes its usual effect; if the program continues after that, it asks the question again.
pub(crate) struct HiddenTerminal {
    terminal: File,
    before: Termios,
    now: Termios,
    altered: bool,
    /// The blocked signals.
    held: SigSet,
    /// Readable once one of them has arrived.
    arrived: SignalFd,
}

impl HiddenTerminal {
    /// Hides what is typed from here on. In the background, waits for the foreground.
    pub(crate) fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let blocked = SigSet::thread_get_mask()?;
        let held = SIGNALS.into_iter().filter(|signal| !blocked.contains(*signal)).collect();
        let arrived = SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC)?;
        let now = before.clone();
        let mut hidden = Self { terminal, before, now, altered: false, held, arrived };
        hidden.hide()?;
        Ok(hidden)
    }

    /// Asks a question and reads a line, without its end.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Zeroizing<Vec<u8>>, Unanswered> {
        loop {
            let outcome = self.show(question).and_then(|()| self.read());
            // End the line of the question, as the hidden Enter would have done.
            let _ = (&self.terminal).write(b"\n");
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.restore(),
                Err(error) => return Err(Unanswered::Io(error)),
                Ok(Typed::Key(signal)) => {
                    self.restore();
                    kill_current_process_group(signal).map_err(io::Error::from)?;
                }
                Ok(Typed::Line(line)) => return line.ok_or(Unanswered::TooLong),
                Ok(Typed::End) => return Err(Unanswered::Cancelled),
            }
            self.hide()?;
        }
    }

    fn hide(&mut self) -> io::Result<()> {
        // In the background this stops the process, and signals can still end it. (Flushing would stop it too, but
        // Linux would first discard what is being typed for the shell.)
        tcdrain(&self.terminal)?;
        self.held.thread_block()?;
        self.before = tcgetattr(&self.terminal)?;
        let mut now = self.before.clone();
        // Not the terminal's own line mode, which silently truncates lines at 4,095 bytes.
        now.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON);
        // The signal of a key is sent from here, after the terminal is restored: a shell may resume before this process
        // does.
        now.local_modes.remove(LocalModes::ISIG);
        now.special_codes[SpecialCodeIndex::VMIN] = 1;
        now.special_codes[SpecialCodeIndex::VTIME] = 0;
        // These modes remove or change bytes of an answer.
        now.input_modes.remove(InputModes::ISTRIP | InputModes::IUCLC | InputModes::IXON);
        self.now = now;
        self.altered = true;
        tcsetattr(&self.terminal, OptionalActions::Now, &self.now)?;
        // Discard what was typed before the question.
        Ok(tcflush(&self.terminal, QueueSelector::IFlush)?)
    }

    /// Restores the terminal, then unblocks the signals.
    fn restore(&mut self) {
        if mem::take(&mut self.altered) && (self.is_in_foreground() || self.is_untouched()) {
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
            // The shell must not show or run what is left of an answer.
            let _ = tcflush(&self.terminal, QueueSelector::IFlush);
        }
        let _ = self.held.thread_unblock();
    }

    fn is_in_foreground(&self) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|foreground| foreground == getpgrp())
    }

    /// Whether the terminal still has the modes set here. In the background, a shell may have changed them since.
    fn is_untouched(&self) -> bool {
        tcgetattr(&self.terminal).is_ok_and(|found| {
            (found.input_modes, found.local_modes) == (self.now.input_modes, self.now.local_modes)
        })
    }

    fn show(&self, question: &str) -> io::Result<()> {
        self.wait(PollFlags::OUT)?;
        (&self.terminal).write_all(question.as_bytes())
    }

    fn read(&self) -> io::Result<Typed> {
        let mut line = Line::new(&self.before);
        loop {
            self.wait(PollFlags::IN)?;
            let mut byte = [0];
            match (&self.terminal).read(&mut byte) {
                Ok(0) => return Ok(Typed::End),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            let [byte] = byte;
            if let Some(typed) = line.typed(byte) {
                return Ok(typed);
            }
        }
    }

    /// Waits until the terminal is ready. A blocked signal that arrives causes the error `Interrupted`.
    fn wait(&self, terminal: PollFlags) -> io::Result<()> {
        let mut polled =
            [PollFd::new(&self.arrived, PollFlags::IN), PollFd::new(&self.terminal, terminal)];
        poll(&mut polled, None)?;
        let [arrived, _] = polled;
        if arrived.revents().is_empty() { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    }
}

impl Drop for HiddenTerminal {
    fn drop(&mut self) {
        self.restore();
    }
}
