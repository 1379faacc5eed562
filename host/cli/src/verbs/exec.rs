//! `moat exec`: runs a program with a credential in its environment.

use std::process::ExitCode;
use std::thread;

use moat::{Operation, Revealed};
use zeroize::Zeroizing;

use crate::ambient;
use crate::args::Exec;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(context: &Context, exec: &Exec) -> Result<ExitCode, Failure> {
    // In a separate thread, because it gets confined; the program that replaces this one must not be.
    let revealed = thread::scope(|scope| {
        let reveal = || {
            let vault = context.vault(Operation::Reveal.access())?;
            vault.reveal(&exec.user).map_err(|error| context.explain(&error))
        };
        let thread = thread::Builder::new().spawn_scoped(scope, reveal);
        thread
            .map_err(|error| Failure::no_thread(&error))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    output::warn_of_weak_key(revealed.summary());
    let variables = variables(&revealed, &exec.prefix)?;
    let Some((program, arguments)) = exec.command.split_first() else {
        return Err(Failure::usage("missing program", "put it after `--`"));
    };
    drop(revealed);
    let error = ambient::become_program(program, arguments, variables);
    Err(Failure::program(&program.display().to_string(), &error))
}

type Variable = (String, Zeroizing<String>);

/// The username, the password and the fields as variables: in upper case, with `_` for characters not allowed in names.
fn variables(revealed: &Revealed, prefix: &str) -> Result<Vec<Variable>, Failure> {
    let credential = revealed.credential();
    let own = [("username", credential.username()), ("password", credential.expose_password())];
    let fields = credential.fields().iter().map(|field| (field.name(), field.expose_value()));
    let mut variables: Vec<Variable> = Vec::new();
    for (name, value) in own.into_iter().chain(fields) {
        let upper = name.to_ascii_uppercase();
        let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let variable = format!("{prefix}{}", upper.chars().map(allowed).collect::<String>());
        if variable.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Failure::usage(
                format!("{name:?} is not a valid variable name without a prefix"),
                "set --prefix",
            ));
        }
        if value.contains('\0') {
            return Err(Failure::other(
                format!("the value of {name:?} contains a NUL byte, which a variable can't hold"),
                "read it with `moat get USER --field NAME`",
            ));
        }
        if variables.iter().any(|(other, _)| *other == variable) {
            return Err(Failure::other(
                format!("two fields would both become {variable}"),
                "store them under names that differ in letters or digits",
            ));
        }
        variables.push((variable, Zeroizing::new(value.to_owned())));
    }
    Ok(variables)
}
