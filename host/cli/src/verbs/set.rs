//! `moat set`: changes parts of a credential.

use std::process::ExitCode;

use moat::{Changes, Operation};

use crate::args::Set;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::values::{self, Password};

pub(crate) fn run(context: &Context, set: &Set) -> Result<ExitCode, Failure> {
    let password = if set.password { Password::Required } else { Password::Optional };
    let values = values::read(&set.values, set.username.as_deref(), password)?;
    let mut changes = Changes::default();
    if let Some(username) = values.username {
        changes = changes.username(username);
    }
    if let Some(password) = values.password {
        changes = changes.password(password.as_str());
    }
    changes = values.fields.into_iter().fold(changes, Changes::field);
    changes = set.unset.iter().fold(changes, Changes::without_field);
    if let Some(expires) = &set.expiry.expires {
        changes = changes.expires(expires);
    }
    if set.forget_history {
        changes = changes.forget_history();
    }

    let vault = context.vault(Operation::Change.access())?;
    let changed = vault
        .change(&set.user, &changes, None)
        .map_err(|error| context.explain_for(&set.user, &error))?;
    output::warn_of_weak_key(&changed);
    output::warn_of_expiry(&changed);
    let file = context.path()?.join(set.user.file_name());
    let text = format!("changed {} in {}", set.user, file.display());
    context.output.done(&text, &output::summary(&changed).into())?;
    Ok(ExitCode::SUCCESS)
}
