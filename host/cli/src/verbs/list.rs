//! `moat list`: lists the users.

use std::process::ExitCode;

use moat::maintenance::is_older_than;
use moat::{Access, Envelope, Error, Operation, UserId, Vault};
use serde_json::{Value, json};

use crate::args::List;
use crate::context::Context;
use crate::failure::Failure;
use crate::report::Report;
use crate::{output, style};

pub(crate) fn run(context: &Context, list: &List) -> Result<ExitCode, Failure> {
    let vault = context.vault(access(list))?;
    let mut report = Report::new(&context.output, "users")?;
    let mut users = 0;
    let outcome = vault.users().try_for_each(|user| {
        let user = user.map_err(|error| context.explain(&error))?;
        match select(&vault, &user, list) {
            Ok(Some(envelope)) => {
                users += 1;
                report.add(&line(&user, envelope.as_ref()), &entry(&user, envelope.as_ref()))
            }
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::warn!("skipped {user}: {error}");
                Ok(())
            }
        }
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

fn access(list: &List) -> Access {
    let access = Operation::Users.access().or(Operation::Inspect.access());
    if list.with_field.is_some() { access.or(Operation::Describe.access()) } else { access }
}

/// Whether the list has this user, and the envelope if it shows that.
fn select(vault: &Vault, user: &UserId, list: &List) -> Result<Option<Option<Envelope>>, Error> {
    if list.containing.as_ref().is_some_and(|text| !user.as_str().contains(text.as_str())) {
        return Ok(None);
    }
    let inspects = list.long || list.older_than.is_some();
    let envelope = inspects.then(|| vault.inspect(user)).transpose()?;
    if let (Some(age), Some(envelope)) = (list.older_than, &envelope)
        && !is_older_than(envelope.created_at.as_deref(), age)
    {
        return Ok(None);
    }
    if let Some(name) = &list.with_field
        && !vault.describe(user)?.field_names.contains(name)
    {
        return Ok(None);
    }
    Ok(Some(envelope.filter(|_| list.long)))
}

/// The user last: only its length varies much.
fn line(user: &UserId, envelope: Option<&Envelope>) -> String {
    let Some(envelope) = envelope else { return user.to_string() };
    let created = envelope.created_at.as_deref().unwrap_or("-");
    let version = envelope.version.as_deref().unwrap_or("-");
    let key = envelope.key_id.as_deref().unwrap_or("-");
    format!("{created:19}  {version:3}  {key:12}  {user}")
}

fn entry(user: &UserId, envelope: Option<&Envelope>) -> Value {
    match envelope {
        Some(envelope) => output::envelope(user.as_str(), envelope).into(),
        None => json!({ "user_id": user.as_str() }),
    }
}
