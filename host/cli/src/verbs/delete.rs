//! `moat delete`: deletes a credential.

use std::process::ExitCode;

use moat::{Error, ErrorCode, Operation};
use serde_json::json;

use crate::ambient;
use crate::args::Delete;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(context: &Context, delete: &Delete) -> Result<ExitCode, Failure> {
    let user = &delete.user;
    let is_there = ambient::exists(&context.path()?.join(user.file_name()));
    let vault = context.vault(Operation::Remove.access())?;
    if !delete.yes && is_there {
        output::confirm(&format!("delete the credential of {user}?"))?;
    }
    if !vault.remove(user, None).map_err(|error| context.explain_for(user, &error))? {
        let missing = Error::new(ErrorCode::NotFound, "there is no credential for this user");
        return Err(context.explain_for(user, &missing));
    }
    let value = json!({ "user_id": user.as_str(), "deleted": true });
    context.output.done(&format!("deleted {user}"), &value)?;
    Ok(ExitCode::SUCCESS)
}
