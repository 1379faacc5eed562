//! Seccomp: only the system calls that a command still needs. Others fail as if the kernel didn't support them.
//! Libraries can handle that: if a newer libc tries a newer call, it gets an error and falls back, instead of being
//! killed.

use std::collections::BTreeMap;

use libc::{
    CLONE_THREAD, CLONE_VM, EINVAL, ENOSYS, PR_SET_NAME, PROT_EXEC, SYS_brk, SYS_clock_gettime,
    SYS_clock_nanosleep, SYS_clone, SYS_close, SYS_dup, SYS_exit, SYS_exit_group, SYS_fadvise64,
    SYS_fallocate, SYS_fcntl, SYS_fdatasync, SYS_flock, SYS_fstat, SYS_fsync, SYS_futex,
    SYS_getcwd, SYS_getdents64, SYS_geteuid, SYS_getpgrp, SYS_getpid, SYS_getrandom, SYS_gettid,
    SYS_getuid, SYS_ioctl, SYS_lseek, SYS_madvise, SYS_mincore, SYS_mlock2, SYS_mmap, SYS_mprotect,
    SYS_mremap, SYS_munmap, SYS_newfstatat, SYS_openat, SYS_openat2, SYS_ppoll, SYS_prctl,
    SYS_pread64, SYS_read, SYS_readlinkat, SYS_readv, SYS_renameat, SYS_renameat2,
    SYS_restart_syscall, SYS_rseq, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
    SYS_sched_getaffinity, SYS_sched_yield, SYS_set_robust_list, SYS_sigaltstack, SYS_statx,
    SYS_tgkill, SYS_unlinkat, SYS_write, SYS_writev, TCGETS, TIOCGPGRP, TIOCGWINSZ,
};
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::{Part, missing};

/// Calls that are allowed with any arguments.
const ALLOWED: [i64; 52] = [
    // Files, which Landlock restricts.
    SYS_openat,
    SYS_openat2,
    SYS_close,
    SYS_read,
    SYS_pread64,
    SYS_readv,
    SYS_write,
    SYS_writev,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_fcntl,
    SYS_flock,
    SYS_dup,
    SYS_fadvise64,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_renameat,
    SYS_renameat2,
    SYS_unlinkat,
    SYS_getcwd,
    SYS_ppoll,
    // Memory.
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_mincore,
    SYS_mlock2,
    // Threads, and how wasmtime catches traps.
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_getpid,
    SYS_getpgrp,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getrandom,
    SYS_exit,
    SYS_exit_group,
];

pub(super) fn confine() -> Result<Part, Error> {
    match restrict() {
        Ok(calls) => {
            Ok(Part::InForce(format!("seccomp: only {calls} system calls, no new native code")))
        }
        // The error of a kernel without filters; below, that of the crate for an unknown CPU.
        Err(Error::Seccomp(error)) if error.raw_os_error() == Some(EINVAL) => {
            Ok(Part::Missing("seccomp: this kernel doesn't support it".to_owned()))
        }
        Err(Error::Backend(BackendError::InvalidTargetArch(_))) => {
            Ok(Part::Missing("seccomp: not supported on this CPU".to_owned()))
        }
        Err(error) => missing("seccomp", &error).ok_or(error),
    }
}

/// Installs the filter, and returns the number of system calls that it allows.
fn restrict() -> Result<usize, Error> {
    let rules = rules()?;
    let calls = rules.len();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(ENOSYS.cast_unsigned()),
        SeccompAction::Allow,
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    Ok(calls)
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, Error> {
    let mut rules: BTreeMap<_, _> = ALLOWED.map(|call| (call, Vec::new())).into();
    let not_executable = SeccompCmpOp::MaskedEq(bits(PROT_EXEC));
    let thread = bits(CLONE_THREAD | CLONE_VM);
    let own_process = std::process::id().into();
    for (call, argument, operator, value) in [
        (SYS_mmap, 2, not_executable.clone(), 0),
        (SYS_mprotect, 2, not_executable, 0),
        // Threads, but no processes. A filter can't examine the arguments of `clone3`; without it, libc uses `clone`.
        (SYS_clone, 0, SeccompCmpOp::MaskedEq(thread), thread),
        (SYS_prctl, 0, SeccompCmpOp::Eq, bits(PR_SET_NAME)),
        // A signal that was noted takes its usual effect.
        (SYS_tgkill, 0, SeccompCmpOp::Eq, own_process),
        // To examine a terminal: whether it is one, its size, and who has it.
        (SYS_ioctl, 1, SeccompCmpOp::Eq, TCGETS),
        (SYS_ioctl, 1, SeccompCmpOp::Eq, TIOCGWINSZ),
        (SYS_ioctl, 1, SeccompCmpOp::Eq, TIOCGPGRP),
    ] {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
        rules.entry(call).or_default().push(SeccompRule::new(vec![condition])?);
    }
    Ok(rules)
}

fn bits(flags: i32) -> u64 {
    flags.cast_unsigned().into()
}
