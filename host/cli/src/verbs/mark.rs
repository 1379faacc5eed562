//! `moat mark`: stores the outcome of a login attempt.

use std::process::ExitCode;

use moat::Operation;

use crate::args::Mark;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(context: &Context, mark: &Mark) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::MarkValidated.access())?;
    let summary = vault
        .mark_validated(&mark.user, mark.valid)
        .map_err(|error| context.explain_for(&mark.user, &error))?;
    let outcome = if summary.is_valid { "valid" } else { "invalid" };
    let text = format!("{}: {outcome}, login attempts: {}", mark.user, summary.validation_attempts);
    context.output.done(&text, &output::summary(&summary).into())?;
    Ok(ExitCode::SUCCESS)
}
