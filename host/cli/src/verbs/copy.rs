//! `moat copy` and `moat rename`: the credential of one user id under another.

use std::process::ExitCode;

use moat::{ErrorCode, Operation};

use crate::args::CopyUser;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;

/// What becomes of the credential that was copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Remove,
}

pub(crate) fn run(context: &Context, copy: &CopyUser, after: After) -> Result<ExitCode, Failure> {
    let CopyUser { user, new } = copy;
    let access = Operation::Copy.access().or(Operation::Inspect.access());
    let access =
        if after == After::Remove { access.or(Operation::Remove.access()) } else { access };
    let vault = context.vault(access)?;
    let before = vault.inspect(user).map_err(|error| context.explain_for(user, &error))?;
    let copied = vault.copy(new, user).map_err(|error| {
        if error.code() == ErrorCode::Conflict {
            let hint =
                "nothing was changed; choose another user id, or delete that credential first";
            return Failure::library(&error, hint).for_user(new);
        }
        context.explain_for(user, &error)
    })?;
    if after == After::Remove {
        vault.remove(user, Some(&before.revision)).map_err(|error| {
            let hint = format!(
                "{user} was changed meanwhile, and both exist now: compare them with `moat get`, then delete one"
            );
            match error.code() {
                ErrorCode::Conflict => Failure::library(&error, hint),
                _ => context.explain(&error),
            }
            .for_user(user)
        })?;
    }
    let done = if after == After::Remove { "renamed" } else { "copied" };
    let text = format!("{done} {user} to {new}");
    let value = output::summary(&copied);
    context.output.done(&text, &value.into())?;
    Ok(ExitCode::SUCCESS)
}
