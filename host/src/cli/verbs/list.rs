use std::process::ExitCode;

use moat::Operation;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;

pub(crate) fn run(context: &Context) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::Users.access())?;
    let mut users = Vec::new();
    for user in vault.users() {
        let user = user.map_err(|error| context.explain(&error))?;
        if context.output.json {
            users.push(json!({ "user_id": user.as_str() }));
        } else {
            context.output.line(&output::printable(user.as_str()))?;
        }
    }
    if context.output.json {
        let summary = json!({ "users": users.len() });
        context.output.value(&json!({ "users": users, "summary": summary }))?;
    }
    Ok(ExitCode::SUCCESS)
}
