//! The terminal while it is asked for secrets: nothing of an answer is shown, and whatever ends or stops the program
//! meanwhile, the terminal is left as it was.

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

/// What people and systems end, stop and resume programs with. While the terminal is altered, these signals wait.
/// SIGTTIN doesn't: with it blocked, reading in the background would fail instead of waiting for the foreground.
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
    /// The line has more than [`crate::ambient::MAX_SECRET_BYTES`].
    TooLong,
    Io(io::Error),
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped. A signal that comes meanwhile does what it
/// always does, but on the terminal as it was; if that is not the end, the question is asked again.
pub(crate) struct HiddenTerminal {
    terminal: File,
    before: Termios,
    now: Termios,
    altered: bool,
    /// The signals that wait.
    held: SigSet,
    /// Can be read once one of them has come.
    arrived: SignalFd,
}

impl HiddenTerminal {
    /// Hides what is typed at the terminal from here on. In the background it waits for the foreground.
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

    /// Asks a question and reads the line that is typed, without its end.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Zeroizing<Vec<u8>>, Unanswered> {
        loop {
            let outcome = self.show(question).and_then(|()| self.read());
            // Ends the line of the question, as Enter would have done.
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
        // In the background this stops the process, which signals can still end there. (To flush would do so as well,
        // but Linux first throws away what is being typed for the shell.)
        tcdrain(&self.terminal)?;
        self.held.thread_block()?;
        self.before = tcgetattr(&self.terminal)?;
        let mut now = self.before.clone();
        // The terminal's own mode for lines won't do: it cuts them at 4,095 bytes, without a word.
        now.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON);
        // A key's signal comes from here, once the terminal is as it was: a shell may be back before this process is.
        now.local_modes.remove(LocalModes::ISIG);
        now.special_codes[SpecialCodeIndex::VMIN] = 1;
        now.special_codes[SpecialCodeIndex::VTIME] = 0;
        // These take or change bytes of an answer.
        now.input_modes.remove(InputModes::ISTRIP | InputModes::IUCLC | InputModes::IXON);
        self.now = now;
        self.altered = true;
        tcsetattr(&self.terminal, OptionalActions::Now, &self.now)?;
        // What was typed before the question is no answer to it.
        Ok(tcflush(&self.terminal, QueueSelector::IFlush)?)
    }

    /// Makes the terminal what it was, then lets the signals come that had to wait.
    fn restore(&mut self) {
        if mem::take(&mut self.altered) && (self.is_in_foreground() || self.is_untouched()) {
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
            // What is left of an answer is nothing for the shell to show or to run.
            let _ = tcflush(&self.terminal, QueueSelector::IFlush);
        }
        let _ = self.held.thread_unblock();
    }

    fn is_in_foreground(&self) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|foreground| foreground == getpgrp())
    }

    /// Whether the terminal is as this made it. In the background, a shell may have made it its own since.
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

    /// Waits until the terminal is ready. A signal that has to wait is the error "interrupted".
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
