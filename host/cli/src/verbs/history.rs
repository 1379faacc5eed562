//! `moat history` and `moat restore`: the earlier versions of a credential.

use std::process::ExitCode;

use moat::{EarlierVersion, Error, ErrorCode, Operation, UserId};
use serde_json::{Value, json};

use crate::args::{History, Restore};
use crate::context::Context;
use crate::failure::Failure;
use crate::report::Report;
use crate::{ambient, output};

pub(crate) fn run(context: &Context, history: &History) -> Result<ExitCode, Failure> {
    match (&history.user, history.keep) {
        (Some(user), _) => show(context, user),
        (None, number) => keep(context, number.unwrap_or_default()),
    }
}

fn show(context: &Context, user: &UserId) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::History.access())?;
    let history = vault.history(user).map_err(|error| context.explain_for(user, &error))?;
    output::warn_of_weak_key(&history.summary);
    let versions = history.versions;
    if versions.is_empty() {
        tracing::info!(
            "no earlier versions are kept; `moat history --keep 5` keeps those that are replaced from now on"
        );
    }
    let mut report = Report::new(&context.output, "versions")?;
    for version in &versions {
        report.add(&line(version), &entry(version))?;
    }
    report.finish("", &json!({ "user_id": user.as_str() }))?;
    Ok(ExitCode::SUCCESS)
}

fn line(version: &EarlierVersion) -> String {
    let EarlierVersion { number, username, field_names, replaced_at, .. } = version;
    let fields: String = field_names.iter().map(|name| format!(", {name}")).collect();
    format!("{number:4}  until {replaced_at}  {username}{fields}")
}

fn entry(version: &EarlierVersion) -> Value {
    json!({
        "number": version.number,
        "username": version.username,
        "fields": version.field_names,
        "created_at": output::utc(version.created_at.as_deref()),
        "replaced_at": output::utc(Some(&version.replaced_at)),
    })
}

fn keep(context: &Context, number: u32) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::Configure.access())?;
    let changed = vault.keep_versions(number).map_err(|error| context.explain(&error))?;
    let text = match number {
        0 => "no earlier versions are kept; those that are there go when their credential is next changed"
            .to_owned(),
        1 => "the latest earlier version of each credential is kept".to_owned(),
        _ => format!("the latest {number} earlier versions of each credential are kept"),
    };
    context.output.done(&text, &json!({ "keep": number, "changed": changed }))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn restore(context: &Context, restore: &Restore) -> Result<ExitCode, Failure> {
    let user = &restore.user;
    let access = Operation::History.access().or(Operation::Restore.access());
    let vault = context.vault(access)?;
    let explain = |error: &Error| explain(context, user, error);
    let number = match restore.version {
        Some(number) => number,
        None => {
            let history = vault.history(user).map_err(|error| explain(&error))?;
            let latest = history.versions.first().ok_or_else(|| {
                let hint = "nothing was changed; `moat history --keep 5` keeps what is replaced from now on";
                Failure::usage("there is no earlier version to restore", hint).for_user(user)
            })?;
            latest.number
        }
    };
    let restored = vault.restore(user, number, None).map_err(|error| explain(&error))?;
    output::warn_of_weak_key(&restored);
    output::warn_of_expiry(&restored);
    let text = format!(
        "restored version {number} of {user}; what it replaced is kept as an earlier version"
    );
    context.output.done(&text, &output::summary(&restored).into())?;
    Ok(ExitCode::SUCCESS)
}

/// As [`Context::explain_for`], where it may also be the version that is not there.
pub(super) fn explain(context: &Context, user: &UserId, error: &Error) -> Failure {
    let has_record =
        || context.path().is_ok_and(|path| ambient::exists(&path.join(user.file_name())));
    if error.code() == ErrorCode::NotFound && has_record() {
        let hint = format!("run `moat history {user}` to see the versions that are kept");
        return Failure::library(error, hint).for_user(user);
    }
    context.explain_for(user, error)
}
