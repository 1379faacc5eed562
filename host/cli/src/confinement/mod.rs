//! The program confines itself, in case the sandbox is ever broken: no core dumps and no debuggers from the start. Once
//! the directory is open, the keys are read and the component's code is mapped, no files outside the directory
//! (Landlock) and only the few system calls that are still needed (seccomp).
//!
//! This can't be undone, and child processes and new threads inherit it.

mod files;
mod memory;
mod system_calls;

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use moat::Access;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Prevents other processes of the same user from reading this one's memory, including its environment, and the system
/// from dumping it. `exec` lifts this for the program that replaces this one.
pub(crate) fn forbid_dumps() -> Part {
    match set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        Ok(()) => Part::InForce("the process can't be dumped or traced".to_owned()),
        Err(error) => Part::Missing(format!("the process can be dumped: {error}")),
    }
}

/// Keeps the memory of this process out of swap, as far as the system lets it. A child doesn't inherit this.
pub(crate) fn lock_memory() -> Part {
    memory::lock()
}

/// Confines the calling thread, and all that it starts, to what each access needs in its directory; without
/// directories, to no files at all. Skips what the kernel doesn't support, and what a filter around this program forbids;
/// fails if anything else goes wrong.
pub(crate) fn confine(
    directories: &[(BorrowedFd<'_>, Access)],
) -> Result<[Part; 2], Box<dyn Error>> {
    // Landlock first: seccomp forbids the system calls that it needs.
    Ok([files::confine(directories)?, system_calls::confine()?])
}

/// A part of the confinement, with a description.
pub(crate) enum Part {
    /// It is in force.
    InForce(String),
    /// The system doesn't support it, or only in part.
    Missing(String),
}

/// What the error of a system call says of this part of the confinement; `None`: it isn't that the part is missing.
fn missing(part: &str, error: &(dyn Error + 'static)) -> Option<Part> {
    let mut errors = std::iter::successors(Some(error), |&error| error.source());
    let error = errors.find_map(|error| error.downcast_ref::<io::Error>())?;
    let why = match error.raw_os_error()? {
        libc::ENOSYS => "this kernel doesn't support it",
        // An administrator's: a unit's SystemCallFilter=, or that of a container.
        libc::EPERM | libc::EACCES => "a filter around this program forbids its system calls",
        _ => return None,
    };
    Some(Part::Missing(format!("{part}: {why}")))
}

impl Part {
    pub(crate) fn is_in_force(&self) -> bool {
        matches!(self, Self::InForce(_))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce(what) => f.write_str(what),
            Self::Missing(what) => write!(f, "not in force: {what}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, unsafe_code, reason = "tests")]
mod tests {
    use super::*;
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;
    use moat::Operation;
    use std::fs::{self, File};
    use std::io::{self, ErrorKind};
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::{ptr, thread};

    /// Runs the test in a thread that is confined to a directory with one file, `inside`.
    fn confined(operation: Operation, test: impl FnOnce(&Dir) + Send + 'static) {
        let path = tempfile::tempdir().unwrap();
        fs::write(path.path().join("inside"), "").unwrap();
        let dir = Dir::open_ambient_dir(path.path(), ambient_authority()).unwrap();
        let confined = thread::spawn(move || {
            for part in confine(&[(dir.as_fd(), operation.access())]).unwrap() {
                assert!(part.is_in_force(), "{part}");
            }
            test(&dir);
        });
        confined.join().unwrap();
    }

    #[track_caller]
    fn refused<T>(outcome: io::Result<T>, kind: ErrorKind) {
        assert_eq!(outcome.err().unwrap().kind(), kind);
    }

    #[test]
    fn who_only_reads_can_read_in_the_directory_and_nowhere_else() {
        confined(Operation::Reveal, |dir| {
            dir.open("inside").unwrap();
            dir.entries().unwrap().for_each(|entry| drop(entry.unwrap()));
            refused(dir.create("new"), ErrorKind::PermissionDenied);
            refused(dir.remove_file("inside"), ErrorKind::PermissionDenied);
            refused(dir.rename("inside", dir, "other"), ErrorKind::PermissionDenied);
            refused(File::open("/etc/passwd"), ErrorKind::PermissionDenied);
            refused(fs::read_dir("/"), ErrorKind::PermissionDenied);
        });
    }

    #[test]
    fn who_writes_can_write_in_the_directory_and_nowhere_else() {
        let outside = tempfile::tempdir().unwrap();
        let new = outside.path().join("new");
        confined(Operation::Put, move |dir| {
            dir.create("new").unwrap();
            dir.rename("new", dir, "inside").unwrap();
            dir.remove_file("inside").unwrap();
            refused(File::create(&new), ErrorKind::PermissionDenied);
            refused(dir.create_dir("directory"), ErrorKind::Unsupported);
        });
    }

    #[test]
    fn nobody_starts_programs_or_opens_sockets() {
        confined(Operation::Put, |dir| {
            refused(Command::new("/bin/true").status(), ErrorKind::Unsupported);
            refused(TcpListener::bind("127.0.0.1:0"), ErrorKind::Unsupported);
            refused(UdpSocket::bind("127.0.0.1:0"), ErrorKind::Unsupported);
            refused(UnixListener::bind("socket"), ErrorKind::Unsupported);
            drop(dir.open("inside").unwrap());
        });
    }

    #[test]
    fn nobody_makes_native_code() {
        confined(Operation::Put, |_| {
            let map = |protection| {
                // SAFETY: a new mapping, which is neither read nor executed.
                unsafe {
                    libc::mmap(
                        ptr::null_mut(),
                        4096,
                        protection,
                        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                        -1,
                        0,
                    )
                }
            };
            assert_eq!(map(libc::PROT_READ | libc::PROT_EXEC), libc::MAP_FAILED);
            let data = map(libc::PROT_READ);
            assert_ne!(data, libc::MAP_FAILED);
            // SAFETY: the mapping just created; its protection must not change.
            assert_eq!(unsafe { libc::mprotect(data, 4096, libc::PROT_EXEC) }, -1);
        });
    }

    #[test]
    fn threads_inherit_the_confinement() {
        confined(Operation::Reveal, |_| {
            let thread = thread::spawn(|| File::open("/etc/passwd"));
            refused(thread.join().unwrap(), ErrorKind::PermissionDenied);
        });
    }
}
