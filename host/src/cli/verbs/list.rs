use std::process::ExitCode;

use moat::Operation;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::report::Report;

pub(crate) fn run(context: &Context) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::Users.access())?;
    let mut report = Report::new(&context.output, "users")?;
    let mut users = 0;
    let outcome = vault.users().try_for_each(|user| {
        let user = user.map_err(|error| context.explain(&error))?;
        users += 1;
        report.add(user.as_str(), &json!({ "user_id": user.as_str() }))
    });
    report.finish("", &json!({ "users": users }))?;
    outcome?;
    Ok(ExitCode::SUCCESS)
}
