//! `moat touch`: marks a credential as used.

use std::process::ExitCode;

use moat::Operation;

use crate::args::User;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(context: &Context, User { user }: &User) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::MarkUsed.access())?;
    let summary = vault.mark_used(user).map_err(|error| context.explain_for(user, &error))?;
    let last_used = summary.last_used.as_deref().unwrap_or_default();
    let text = format!("{user}: last used at {last_used}");
    context.output.done(&text, &output::summary(&summary).into())?;
    Ok(ExitCode::SUCCESS)
}
