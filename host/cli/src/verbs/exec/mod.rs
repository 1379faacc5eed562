//! `moat exec`: runs a program with a credential in its environment.
//!
//! The program must not be confined, but whatever opens the credential must be, as a whole process: threads share their
//! memory. So a child opens it, passes it on through a pipe, and ends. This process reads no file of the directory.

mod message;
mod variables;

use std::io::PipeWriter;
use std::process::ExitCode;

use moat::{Error, ErrorCode, Operation};

use crate::ambient::processes::{self, Forked};
use crate::args::Exec;
use crate::confinement;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::secret_file::describe;

/// What the child is, in messages.
const CHILD: &str = "the process that opens the credential";

pub(crate) fn run(context: &Context, exec: &Exec) -> Result<ExitCode, Failure> {
    let Some((program, arguments)) = exec.command.split_first() else {
        return Err(Failure::usage("missing program", "put it after `--`"));
    };
    let child = match processes::fork().map_err(|error| Failure::no_process(&error))? {
        Forked::Child(pipe) => return reveal(context, exec, pipe),
        Forked::Parent(child) => child,
    };
    let broken = |what| context.explain(&Error::new(ErrorCode::Sandbox, what));
    let (message, status) = child.wait().map_err(|error| broken(describe(CHILD, &error)))?;
    match status.code().map(u8::try_from) {
        Some(Ok(0)) => {}
        // It has said why.
        Some(Ok(code)) => return Ok(ExitCode::from(code)),
        _ => {
            return Err(Failure::other(
                format!("{CHILD} was ended by {status}"),
                "run this again; if it ends like this again, the system's log may say why",
            ));
        }
    }
    let credential = message::parse(&message)
        .ok_or_else(|| broken(format!("{CHILD} has sent something else instead")))?;
    let variables = variables::of(&credential, exec)?;
    let error = processes::become_program(program, arguments, variables);
    Err(Failure::program(&program.display().to_string(), &error))
}

/// What the child does: sends the credential to its parent.
fn reveal(context: &Context, exec: &Exec, mut pipe: PipeWriter) -> Result<ExitCode, Failure> {
    // As its parent did: a child doesn't inherit it.
    let _ = confinement::lock_memory();
    let vault = context.vault(Operation::Reveal.access())?;
    let revealed = vault.reveal(&exec.user).map_err(|error| context.explain(&error))?;
    output::warn_of_weak_key(revealed.summary());
    message::write(&mut pipe, revealed.credential()).map_err(|error| {
        Failure::other(format!("passing the credential on: {error}"), "run this again")
    })?;
    Ok(ExitCode::SUCCESS)
}
