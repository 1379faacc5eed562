//! `moat exec`: runs a program with credentials in its environment.

mod variables;

use std::process::ExitCode;

use crate::ambient::processes;
use crate::args::Exec;
use crate::context::Context;
use crate::failure::Failure;
use crate::revealing;

pub(crate) fn run(context: &Context, exec: &Exec) -> Result<ExitCode, Failure> {
    let Some((program, arguments)) = exec.command.split_first() else {
        return Err(Failure::usage("missing program", "put it after `--`"));
    };
    let users = exec.users.iter().chain(exec.env.iter().map(|variable| &variable.user));
    let message = match revealing::reveal(context, users)? {
        Ok(message) => message,
        Err(code) => return Ok(code),
    };
    let variables = variables::of(&message.credentials(context)?, exec)?;
    let error = processes::become_program(program, arguments, variables);
    Err(Failure::program(&program.display().to_string(), &error))
}
