//! Checks what surrounds the sandbox: the component itself, and what the system provides.

use std::io::ErrorKind;
use std::sync::Arc;

use moat::{Error, Sandbox, component};

use super::Checks;
use crate::ambient;
use crate::confinement::{self, Part};
use crate::context::Context;
use crate::failure::{Failure, THREADS_HINT};

/// Checks whether memory can be written to disk. The process must not be confined yet.
pub(super) fn check_memory(context: &Context, checks: &mut Checks<'_>) -> Result<(), Failure> {
    check_part(context, &confinement::forbid_dumps(), checks)?;
    let locked = confinement::lock_memory().is_in_force();
    let swaps = ambient::swaps();
    // The first line is a heading.
    let swap = swaps.lines().skip(1).find(|line| !line.contains("zram"));
    match swap.map(|line| line.split_whitespace().next().unwrap_or("a disk")) {
        None => checks.ok("swap", "memory is never written to disk"),
        Some(swap) if locked => {
            checks.ok("swap", format!("the program keeps its memory out of {swap}"))
        }
        Some(swap) => checks.warn(
            "swap",
            format!(
                "memory may be written to {swap}; the sandbox's memory is locked, but not the host's"
            ),
            "swapoff -a    or encrypt the swap, or ulimit -l unlimited (LimitMEMLOCK=infinity in the unit)",
        ),
    }
}

/// Checks the component and its confinement. The process must be confined by now.
pub(super) fn check(
    context: &Context,
    sandbox: Result<Arc<Sandbox>, Failure>,
    confinement: &[Part],
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    check_component(sandbox, checks)?;
    confinement.iter().try_for_each(|part| check_part(context, part, checks))
}

fn check_part(context: &Context, part: &Part, checks: &mut Checks<'_>) -> Result<(), Failure> {
    const NAME: &str = "confinement";
    let remedy = "run this on a kernel that supports it, and where no filter forbids it";
    match (part.is_in_force(), context.requires_confinement) {
        (true, _) => checks.ok(NAME, part),
        (false, false) => checks.warn(NAME, part, remedy),
        (false, true) => checks.fail(NAME, part, remedy),
    }
}

fn check_component(
    sandbox: Result<Arc<Sandbox>, Failure>,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    const NAME: &str = "component";
    let reinstall = "reinstall moat from a release, and compare its digest";
    let sandbox = match sandbox {
        Ok(sandbox) => sandbox,
        Err(failure) => return checks.fail(NAME, failure.text().0, reinstall),
    };
    let digest = sandbox.digest();
    let is_embedded = sandbox.cpu().is_some();
    match component::check() {
        Ok(()) if is_embedded => {
            checks.ok(NAME, format!("it is the embedded one, sha256:{digest}"))?;
        }
        Err(error) if is_embedded => checks.fail(NAME, error.to_string(), reinstall)?,
        _ => {
            let finding = format!("it is not the embedded one, sha256:{digest}");
            checks.warn(NAME, finding, "omit --component")?;
        }
    }
    let imports = sandbox.imports().len();
    checks.ok(NAME, format!("it imports {imports} interfaces, all of them in the contract"))?;
    let remedy = |error: &Error| match error.io_kind() {
        Some(ErrorKind::WouldBlock) => THREADS_HINT,
        _ => reinstall,
    };
    match sandbox.self_test() {
        Ok(()) => checks.ok(NAME, "it encrypts and decrypts with the known answers")?,
        Err(error) => checks.fail(NAME, &error, remedy(&error))?,
    }
    match sandbox.try_to_store_in_the_clear() {
        Ok(()) => checks.ok(
            NAME,
            "it refuses to store anything without a key, with a short key, or in the clear",
        )?,
        Err(error) => checks.fail(NAME, &error, remedy(&error))?,
    }
    if sandbox.locks_memory() {
        checks.ok("memory", "the sandbox's memory is locked, never dumped, and wiped")
    } else {
        let finding = "the sandbox's memory can't be locked: the limit is too low";
        checks.warn(
            "memory",
            finding,
            "ulimit -l unlimited    or LimitMEMLOCK=infinity in the unit",
        )
    }
}
