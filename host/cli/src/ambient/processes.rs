//! Processes: a child that works apart, one that cleans up, commands that print a secret, an editor, and the program that
//! this one becomes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, SigHandler, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, WaitOptions, set_parent_process_death_signal, waitpid};
use zeroize::Zeroizing;

use super::{SYSTEMD_CREDENTIALS, SecretFileError, read_limited, read_within};

/// The variables that contain a key or say where it is. No child process inherits them.
const KEY_VARIABLES: [&str; 6] = [
    "FOSSAWORK_MASTER_KEY",
    "FOSSAWORK_MASTER_KEY_PREVIOUS",
    "FOSSAWORK_MASTER_KEY_FILE",
    "FOSSAWORK_MASTER_KEY_COMMAND",
    "FOSSAWORK_KEYRING",
    "FOSSAWORK_AUDIT_KEY_FILE",
];

/// How long a command that prints a secret may take: long enough to ask somebody for a passphrase.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// The two processes that a fork returns in.
pub(crate) enum Forked {
    /// The child, and where it writes its result.
    Child(PipeWriter),
    Parent(Child),
}

/// A child process that writes its result to a pipe, as its parent sees it.
pub(crate) struct Child {
    pid: Pid,
    result: PipeReader,
    /// What happened to SIGCHLD before the child existed.
    disposition: SigHandler,
}

/// Starts a child that goes on from here, and dies with this process. Must be called before any thread is started.
pub(crate) fn fork() -> io::Result<Forked> {
    let (result, pipe) = io::pipe()?;
    // If the caller had it ignored, the kernel would discard the child's exit status.
    let disposition = handle_child_signal(SigHandler::SigDfl)?;
    // SAFETY: no thread was started yet, so none is missing in the child that could hold a lock there.
    #[allow(unsafe_code, reason = "the standard library only starts programs")]
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => match Pid::from_raw(pid) {
            Some(pid) => Ok(Forked::Parent(Child { pid, result, disposition })),
            None => {
                set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
                Ok(Forked::Child(pipe))
            }
        },
    }
}

fn handle_child_signal(handler: SigHandler) -> io::Result<SigHandler> {
    // SAFETY: only ever sets the default or what was set before `main`, never a function of this program.
    #[allow(unsafe_code, reason = "a handler could be any function")]
    Ok(unsafe { signal::signal(Signal::SIGCHLD, handler) }?)
}

impl Child {
    /// Waits until the child has ended, and returns its result, of up to this many bytes, and its exit status.
    pub(crate) fn wait(
        self,
        limit: usize,
    ) -> Result<(Zeroizing<Vec<u8>>, ExitStatus), SecretFileError> {
        let Self { pid, result, disposition } = self;
        let result = read_within(limit, result)?;
        let ended =
            retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty())).map_err(io::Error::from)?;
        handle_child_signal(disposition)?;
        // Without WNOHANG there is always a status.
        let status = ended.map_or(0, |(_, status)| status.as_raw());
        Ok((result, ExitStatus::from_raw(status)))
    }
}

/// A process that does something when this one has ended, or has dropped this.
pub(crate) struct Afterwards {
    /// Closed when this process ends, in whatever way.
    alive: Option<PipeWriter>,
    pid: Option<Pid>,
}

/// Starts a process that waits until this one has ended, be it by SIGKILL, and then does this. It is in a session of its own,
/// where no key of the terminal reaches it. Must be called before any thread is started.
pub(crate) fn afterwards(clean_up: impl FnOnce()) -> io::Result<Afterwards> {
    let (ended, alive) = io::pipe()?;
    // SAFETY: no thread was started yet, so none is missing in the child that could hold a lock there.
    #[allow(unsafe_code, reason = "the standard library only starts programs")]
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(alive);
            let _ = rustix::process::setsid();
            // Nothing is ever written, so this is the end. An interrupted read is repeated.
            let _ = io::copy(&mut &ended, &mut io::sink());
            clean_up();
            // SAFETY: ends the process.
            #[allow(unsafe_code, reason = "it must not return to what its parent goes on with")]
            unsafe {
                libc::_exit(0)
            }
        }
        pid => Ok(Afterwards { alive: Some(alive), pid: Pid::from_raw(pid) }),
    }
}

impl Drop for Afterwards {
    /// Waits until it is done. In a child of this process, where it is no child, nothing happens.
    fn drop(&mut self) {
        self.alive = None;
        let _ = retry_on_intr(|| waitpid(self.pid, WaitOptions::empty()));
    }
}

/// Runs an editor, which is a shell command, with these options on a file, and waits until it has ended. It ends with this
/// process, gets no variable and no descriptor through which it could read the master key, and makes its temporary files
/// in this directory.
pub(crate) fn run_editor(
    command: &OsStr,
    options: &[&str],
    file: &Path,
    temporary: &Path,
) -> io::Result<ExitStatus> {
    close_descriptors_on_exec()?;
    // A signal for the shell reaches the editor if that takes its place, which only a plain command can.
    let is_plain = !command.as_encoded_bytes().iter().any(|byte| b";&|<>()$`\n=".contains(byte));
    let mut script = OsString::from(if is_plain { "exec " } else { "" });
    script.push(command);
    script.push(" \"$@\"");
    let mut editor = Command::new("/bin/sh");
    editor.arg("-c").arg(script).arg(command).args(options).arg(file).env("TMPDIR", temporary);
    without_keys(&mut editor).env_remove(SYSTEMD_CREDENTIALS);
    // SAFETY: the call is safe between fork and exec: it only makes a system call.
    #[allow(unsafe_code, reason = "only the process itself can ask for this signal")]
    unsafe {
        editor
            .pre_exec(|| Ok(set_parent_process_death_signal(Some(rustix::process::Signal::HUP))?));
    }
    // If the caller had it ignored, the kernel would discard the exit status.
    let disposition = handle_child_signal(SigHandler::SigDfl)?;
    let status = editor.status();
    handle_child_signal(disposition)?;
    status
}

/// Runs a shell command and returns its output. The command gets no input, and its standard error is not captured. One
/// that takes more than [`COMMAND_LIMIT`] is ended.
pub(crate) fn run_secret_command(command: &str) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    run_within(COMMAND_LIMIT, command)
}

fn run_within(limit: Duration, command: &str) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let deadline = Instant::now() + limit;
    let mut child = without_keys(Command::new("/bin/sh").arg("-c").arg(command))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().map(|stdout| Until { stdout, deadline });
    let output = stdout.map_or_else(|| Ok(Zeroizing::default()), read_limited);
    let Some(status) = wait_until(deadline, &mut child)? else {
        child.kill()?;
        child.wait()?;
        let message = format!("it did not end within {} seconds", limit.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, message).into());
    };
    if !status.success() {
        return Err(io::Error::other(format!("failed with {status}")).into());
    }
    output
}

/// What `gpg` decrypts of a file, with the keys and the agent of the user, who may be asked for a passphrase. Its messages
/// go to standard error.
pub(crate) fn decrypt_with_gpg(encrypted: File) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let mut child = without_keys(Command::new("gpg").args(["--quiet", "--batch", "--decrypt"]))
        .stdin(encrypted)
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().map_or_else(|| Ok(Zeroizing::default()), read_limited);
    // What didn't read it all has closed the pipe, which ends it.
    let status = child.wait()?;
    let output = output?;
    if !status.success() {
        return Err(io::Error::other(format!("gpg failed with {status}")).into());
    }
    Ok(output)
}

/// The output of a command, until a deadline.
struct Until {
    stdout: ChildStdout,
    deadline: Instant,
}

impl Read for Until {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.stdout, PollFlags::IN)], Some(&left))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => self.stdout.read(buffer),
        }
    }
}

/// Waits until a child has ended; `None`: it hasn't by then.
fn wait_until(
    deadline: Instant,
    child: &mut std::process::Child,
) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Replaces the process with another program, with these variables added. It gets no variable and no descriptor
/// through which it could read the master key, as a key command may have to. Returns only on failure.
pub(crate) fn become_program(
    program: &OsStr,
    arguments: &[OsString],
    variables: impl IntoIterator<Item = (String, Zeroizing<String>)>,
) -> io::Error {
    let mut command = Command::new(program);
    without_keys(command.args(arguments)).env_remove(SYSTEMD_CREDENTIALS);
    for (name, value) in variables {
        command.env(name, value.as_str());
    }
    match close_descriptors_on_exec() {
        Ok(()) => command.exec(),
        Err(error) => error,
    }
}

/// Lets the program that replaces this one inherit standard input, output and error only: the key may have come
/// through another descriptor, as with `--master-key-file /dev/fd/3`.
fn close_descriptors_on_exec() -> io::Result<()> {
    let first = libc::STDERR_FILENO + 1;
    // SAFETY: the call sets a flag of descriptors, and accesses no memory.
    #[allow(unsafe_code, reason = "the standard library has no such call")]
    let outcome = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn without_keys(command: &mut Command) -> &mut Command {
    KEY_VARIABLES.iter().fold(command, |command, name| command.env_remove(name))
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_ended() {
        let limit = Duration::from_millis(300);
        // One that prints nothing, one that prints and goes on, and one that closes its output.
        for command in ["exec sleep 60", "echo key; exec sleep 60", "exec sleep 60 >/dev/null"] {
            let begun = Instant::now();
            let Err(SecretFileError::Io(error)) = run_within(limit, command) else { panic!() };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() >= limit && begun.elapsed() < limit * 20);
        }
        assert_eq!(**run_within(limit * 100, "sleep 0.1; echo key").unwrap(), *b"key\n");
    }
}
