use std::process::ExitCode;

use moat::{
    Access, Error, ErrorCode, KeyWeakness, Leftover, MigrateOptions, Operation, RecordKind,
    Rewritten, UserId, Vault,
};
use serde_json::{Value, json};

use crate::cli::args::Migrate;
use crate::cli::batch::{self, Selection};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, NEEDS_MIGRATION};
use crate::cli::output;
use crate::cli::report::Report;

pub(crate) fn run(context: &Context, arguments: &Migrate) -> Result<ExitCode, Failure> {
    let vault = context.vault(access(arguments))?;
    let failed = |error: &Error| context.explain(error);
    let mut options = MigrateOptions::default();
    options.dry_run = arguments.dry_run;
    options.accept_default_key = arguments.accept_default_key;
    options.version = arguments.to.map(|format| format.name().to_owned());
    options.token_encoding = arguments.token_encoding.map(Into::into);

    let _turn = if arguments.dry_run { None } else { Some(vault.batch().map_err(|e| failed(&e))?) };
    // For new records, and so that the salt is there before any thread needs it.
    if let Some(version) = options.version.as_deref().filter(|_| is_whole(arguments)) {
        vault.configure(version).map_err(|error| failed(&error))?;
    }
    let mut report = Report::new(&context.output, "records")?;
    let mut counts = Counts::default();
    let ask = |users: &[_]| vault.migrate(users, &options);
    let outcome =
        batch::for_each(context, &vault, Selection::of(&arguments.user), ask, |(user, answer)| {
            let (action, why) = describe(&answer, arguments);
            match &answer {
                Ok(rewritten) if rewritten.changed => counts.migrated += 1,
                Ok(_) => counts.unchanged += 1,
                Err(_) => counts.failed += 1,
            }
            report.add(&line(action, user.as_str(), &why), &entry(&user, action, &why, &answer))?;
            match answer {
                Err(error) if ends_all(&error) => Err(failed(&error)),
                _ => Ok(()),
            }
        });
    let outcome = outcome.and_then(|()| {
        let mut leftovers = vault.leftovers().filter(|_| arguments.user.is_empty());
        leftovers.try_for_each(|leftover| {
            let leftover = leftover.map_err(|error| failed(&error))?;
            let (action, why) = clear_away(&vault, &leftover, arguments);
            counts.count(action);
            let name = output::file_name(&leftover.name);
            let value = json!({ "file": name, "action": action, "reason": why });
            report.add(&line(action, &name, &why), &value)
        })
    });
    report.finish(&counts.text(arguments.dry_run), &counts.json(arguments.dry_run))?;
    outcome?;
    if counts.backups > 0 {
        tracing::warn!(
            "{} of the old migration's backups are left, each with a password in the clear; --remove-plaintext-backups removes those whose credential opens",
            counts.backups
        );
    }
    Ok(ExitCode::from(if counts.failed == 0 { 0 } else { NEEDS_MIGRATION }))
}

/// Whether this is about the whole directory, and in earnest.
fn is_whole(arguments: &Migrate) -> bool {
    arguments.user.is_empty() && !arguments.dry_run
}

fn access(arguments: &Migrate) -> Access {
    let mut access = Operation::Migrate.access().or(Operation::Users.access());
    if arguments.remove_plaintext_backups {
        access = access.or(Operation::RemoveBackup.access());
    }
    if arguments.dry_run {
        // Then not even the process could write.
        access.write = false;
        access.settings = false;
        access.remove_backups = false;
    }
    access
}

/// Whether an error is one that every further record would meet.
pub(super) fn ends_all(error: &Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.code() {
        ErrorCode::MasterKeyMissing | ErrorCode::MasterKeyRefused | ErrorCode::Locked => true,
        _ => matches!(error.io_kind(), Some(StorageFull | QuotaExceeded | ReadOnlyFilesystem)),
    }
}

/// What was done with a record, and why.
fn describe(answer: &Result<Rewritten, Error>, arguments: &Migrate) -> (&'static str, String) {
    let rewritten = match answer {
        Ok(rewritten) => rewritten,
        Err(error) => return ("failed", error.to_string()),
    };
    let version = rewritten.before.version.as_deref().unwrap_or_default();
    let published = Some(KeyWeakness::PublishedDefault);
    let key = rewritten.key.as_ref();
    let was = match rewritten.before.kind {
        RecordKind::LegacyPlaintext => "it was not encrypted".to_owned(),
        _ if key.is_some_and(|key| key.weakness == published) => {
            "it was under the published default key".to_owned()
        }
        RecordKind::LegacyEncrypted => "it had no version".to_owned(),
        _ => format!("it was of version {version}"),
    };
    match (rewritten.changed, arguments.dry_run) {
        (false, _) => ("unchanged", format!("it is of version {version}")),
        (true, false) => ("migrated", was),
        (true, true) => ("would migrate", was),
    }
}

/// What is done with a leftover, and why.
fn clear_away(vault: &Vault, leftover: &Leftover, arguments: &Migrate) -> (&'static str, String) {
    if leftover.needs_another_name() {
        return ("failed", output::NOT_UTF8.to_owned());
    }
    let Some(user) = &leftover.backup_of else {
        return ("ignored", "it is not a record".to_owned());
    };
    let backup = "the old migration's copy, with a password in the clear".to_owned();
    if !arguments.remove_plaintext_backups {
        return ("backup", backup);
    }
    let removed = if arguments.dry_run {
        vault.describe(user).map(drop)
    } else {
        vault.remove_backup(&output::file_name(&leftover.name)).map(drop)
    };
    match removed {
        Ok(()) if arguments.dry_run => ("would remove", backup),
        Ok(()) => ("removed", backup),
        Err(error) => ("backup", format!("it is kept, for its credential doesn't open: {error}")),
    }
}

fn line(action: &str, name: &str, why: &str) -> String {
    format!("{action:13}  {name}: {why}")
}

fn entry(user: &UserId, action: &str, why: &str, answer: &Result<Rewritten, Error>) -> Value {
    match answer {
        Ok(rewritten) => json!({
            "user_id": user.as_str(),
            "file": user.file_name(),
            "action": action,
            "reason": why,
            "kind": rewritten.before.kind.name(),
            "encryption_version": rewritten.before.version,
        }),
        Err(error) => json!({
            "user_id": user.as_str(),
            "file": user.file_name(),
            "action": action,
            "reason": why,
            "error": output::error(error),
        }),
    }
}

#[derive(Default)]
struct Counts {
    migrated: usize,
    unchanged: usize,
    failed: usize,
    backups: usize,
    removed: usize,
    ignored: usize,
}

impl Counts {
    fn count(&mut self, action: &str) {
        match action {
            "backup" => self.backups += 1,
            "failed" => self.failed += 1,
            "ignored" => self.ignored += 1,
            _ => self.removed += 1,
        }
    }

    fn text(&self, dry_run: bool) -> String {
        let Self { migrated, unchanged, failed, backups, removed, ignored } = self;
        let (would, note) = if dry_run { ("would be ", "; nothing was written") } else { ("", "") };
        format!(
            "{migrated} {would}migrated, {unchanged} unchanged, {failed} failed; {backups} backups left, \
             {removed} {would}removed, {ignored} other files ignored{note}"
        )
    }

    fn json(&self, dry_run: bool) -> Value {
        json!({
            "dry_run": dry_run,
            "migrated": self.migrated,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "backups": self.backups,
            "backups_removed": self.removed,
            "ignored": self.ignored,
        })
    }
}
