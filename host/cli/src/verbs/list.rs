//! `moat list`: lists the users.

use std::process::ExitCode;

use moat::maintenance::{affects_all_records, is_older_than};
use moat::{
    Access, Envelope, Error, KeySource, Operation, RecordKind, Summary, TokenEncoding, UserId,
    Vault,
};
use serde_json::{Map, Value, json};

use crate::args::List;
use crate::context::Context;
use crate::failure::Failure;
use crate::report::Report;
use crate::{output, style};

pub(crate) fn run(context: &Context, list: &List) -> Result<ExitCode, Failure> {
    let keys = context.master_key()?;
    // Without a key, the age of those records can be told that say it openly.
    let decrypts = list.decrypts() || list.older_than.is_some() && keys.ring().is_ok();
    let vault = context.vault_beside_ring(keys, access(decrypts), None)?;
    let mut report = Report::new(&context.output, "users")?;
    let mut users = 0;
    let outcome = vault.users().try_for_each(|user| {
        let user = user.map_err(|error| context.explain(&error))?;
        match select(&vault, &user, list) {
            Ok(Some(shown)) => {
                users += 1;
                report.add(&shown.line(&user), &shown.entry(&user))
            }
            Ok(None) => Ok(()),
            Err(error) if affects_all_records(&error) => Err(context.explain_for(&user, &error)),
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

fn access(decrypts: bool) -> Access {
    let access = Operation::Users.access().or(Operation::Inspect.access());
    if decrypts { access.or(Operation::Describe.access()) } else { access }
}

/// What is shown of a user.
struct Shown {
    envelope: Option<Envelope>,
    /// Where records are decrypted to find those that expire.
    summary: Option<Summary>,
}

/// What the list has of this user, if anything.
fn select(vault: &Vault, user: &UserId, list: &List) -> Result<Option<Shown>, Error> {
    if list.containing.as_ref().is_some_and(|text| !user.as_str().contains(text.as_str())) {
        return Ok(None);
    }
    let inspects = list.long || list.older_than.is_some();
    let envelope = inspects.then(|| vault.inspect(user)).transpose()?;
    // The application resets what its records say openly with each write.
    let says_its_age = |envelope: &Envelope| {
        envelope.encoding != Some(TokenEncoding::App) || envelope.kind != RecordKind::Current
    };
    let decrypts = list.decrypts()
        || list.older_than.is_some() && !envelope.as_ref().is_some_and(says_its_age);
    let summary = decrypts.then(|| vault.describe(user)).transpose()?;
    let created_at = match &summary {
        Some(summary) => summary.created_at.as_deref(),
        None => envelope.as_ref().and_then(|envelope| envelope.created_at.as_deref()),
    };
    if list.older_than.is_some_and(|age| !is_older_than(created_at, age)) {
        return Ok(None);
    }
    if let (Some(name), Some(summary)) = (&list.with_field, &summary)
        && !summary.field_names.contains(name)
    {
        return Ok(None);
    }
    if let (Some(time), Some(summary)) = (list.expires_within, &summary)
        && !summary.expires_within(time)
    {
        return Ok(None);
    }
    Ok(Some(Shown {
        envelope: envelope.filter(|_| list.long),
        summary: summary.filter(|_| list.expires_within.is_some()),
    }))
}

impl Shown {
    /// The user last: only its length varies much.
    fn line(&self, user: &UserId) -> String {
        let mut line = String::new();
        if let Some(summary) = &self.summary {
            let expires = summary.expires_at.as_deref().unwrap_or("-");
            line += &format!("{expires:19}  ");
        }
        if let Some(envelope) = &self.envelope {
            let created = envelope.created_at.as_deref().unwrap_or("-");
            let version = envelope.version.as_deref().unwrap_or("-");
            let key = envelope.key_id.as_deref().unwrap_or("-");
            line += &format!("{created:19}  {version:3}  {key:12}  ");
        }
        line + user.as_str()
    }

    fn entry(&self, user: &UserId) -> Value {
        let mut entry = match &self.envelope {
            Some(envelope) => output::envelope(user.as_str(), envelope),
            None => Map::from_iter([("user_id".to_owned(), user.as_str().into())]),
        };
        if let Some(summary) = &self.summary {
            entry
                .insert("expires_at".to_owned(), output::utc(summary.expires_at.as_deref()).into());
        }
        entry.into()
    }
}
