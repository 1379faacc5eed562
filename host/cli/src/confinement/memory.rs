//! Memory that is never written to swap: keys and credentials also pass through memory that is not the sandbox's.

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Part;

pub(super) fn lock() -> Part {
    match lock_all() {
        Ok(()) => Part::InForce("all memory is kept out of swap".to_owned()),
        Err(error) => Part::Missing(format!(
            "keeping all memory out of swap takes CAP_IPC_LOCK, or an unlimited `ulimit -l`: {error}"
        )),
    }
}

/// Locks each page when it is first touched. With a limit of locked memory, a later allocation might fail because of
/// it, so this only succeeds for a process without a limit or that no limit binds.
fn lock_all() -> io::Result<()> {
    let limit = getrlimit(Resource::Memlock);
    // With a limit of zero, only those succeed whom no limit binds.
    let bound = limit.current.is_some();
    if bound {
        setrlimit(Resource::Memlock, Rlimit { current: Some(0), ..limit })?;
    }
    let locked = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    if bound {
        setrlimit(Resource::Memlock, limit)?;
    }
    Ok(locked?)
}
