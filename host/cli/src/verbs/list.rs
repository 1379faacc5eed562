//! `moat list`: lists the users.

use std::process::ExitCode;

use moat::Operation;
use moat::maintenance::is_older_than;
use serde_json::json;

use crate::args::List;
use crate::context::Context;
use crate::failure::Failure;
use crate::report::Report;
use crate::{output, style};

pub(crate) fn run(context: &Context, list: &List) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::Users.access().or(Operation::Inspect.access()))?;
    let mut report = Report::new(&context.output, "users")?;
    let mut users = 0;
    let outcome = vault.users().try_for_each(|user| {
        let user = user.map_err(|error| context.explain(&error))?;
        if let Some(age) = list.older_than {
            match vault.inspect(&user) {
                Ok(record) if is_older_than(record.created_at.as_deref(), age) => {}
                Ok(_) => return Ok(()),
                Err(error) => {
                    tracing::warn!("skipped {user}: {error}");
                    return Ok(());
                }
            }
        }
        users += 1;
        report.add(user.as_str(), &json!({ "user_id": user.as_str() }))
    });
    report.finish("", &json!({ "users": users }))?;
    outcome?;
    for leftover in vault.leftovers() {
        let leftover = leftover.map_err(|error| context.explain(&error))?;
        if leftover.needs_another_name() {
            let name = style::file_name(&leftover.name);
            tracing::warn!("skipped {name}: {}", output::NOT_UTF8);
        }
    }
    Ok(ExitCode::SUCCESS)
}
