//! Programs under `strace`: which calls they make on files, and what others can do while one is stopped at one of them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Tool;

/// Whatever a program can do to files, as `strace` takes it after `trace=`.
pub const CALLS: &str = "/^(open|close|p?read|p?write|f?sync|fdatasync|flock|fcntl|lseek|f?truncate|fallocate|\
    rename|link|symlink|unlink|mkdir|rmdir|(new)?[fl]?stat|f?access|getdents|f?chmod|f?chown)";

/// A call's name, and the how manieth of this name it is.
pub type Point = (String, usize);

/// The calls of a trace from the first line on that has this in it.
pub fn points(trace: &str, since: &str) -> Vec<Point> {
    let mut before: Vec<&str> = Vec::new();
    let mut points = Vec::new();
    for line in trace.lines() {
        // With `-f` the process stands before it.
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let Some((call, _)) = call.split_once('(') else { continue };
        if call.starts_with('<') {
            // The second half of one.
            continue;
        }
        before.push(call);
        if !points.is_empty() || line.contains(since) {
            let occurrence = before.iter().filter(|earlier| **earlier == call).count();
            points.push((call.to_owned(), occurrence));
        }
    }
    assert!(points.len() > 10, "{trace}");
    points
}

/// `strace`, to start a command that was given all of its environment.
pub fn under(mut strace: Command, command: &Command) -> Command {
    strace.arg(command.get_program()).args(command.get_args()).env_clear();
    command.get_current_dir().map(|folder| strace.current_dir(folder));
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace
}

/// A program that stops itself after one of its calls.
pub struct Stopping {
    child: Child,
    trace: PathBuf,
}

impl Stopping {
    /// Starts it with this on its standard input. Its trace goes to a file, which must not be there yet.
    pub fn start(
        strace: Tool,
        command: &Command,
        input: &str,
        (call, occurrence): &Point,
        trace: PathBuf,
    ) -> Self {
        let mut strace = strace.command();
        // As a grandchild, so that the child is the program itself.
        strace.arg("-D").arg("-o").arg(&trace);
        strace.args(["-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:signal=STOP:when={occurrence}")]);
        let mut command = under(strace, command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Self { child, trace }
    }

    /// Waits until it has stopped; false: it has ended without.
    pub fn has_stopped(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            let trace = fs::read_to_string(&self.trace).unwrap_or_default();
            if trace.contains("--- stopped by SIGSTOP ---") {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "neither stopped nor ended: {trace}"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Lets it go on to its end, if it hasn't come to it.
    pub fn go_on(mut self) -> Output {
        if self.child.try_wait().unwrap().is_none() {
            self.signal(Signal::CONT);
        }
        self.child.wait_with_output().unwrap()
    }

    /// Ends it as it stands.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}
