use std::collections::BTreeMap;
use std::process::ExitCode;

use moat::{Error, KeyInfo, Operation, Rewritten, UserId};
use serde_json::{Value, json};

use super::migrate::ends_all;
use crate::cli::args::Rotate;
use crate::cli::batch;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, NOT_DECRYPTED};
use crate::cli::output;
use crate::cli::report::Report;

pub(crate) fn run(context: &Context, arguments: &Rotate) -> Result<ExitCode, Failure> {
    let looks_only = arguments.dry_run || arguments.status;
    let mut access = Operation::Rewrap.access().or(Operation::Users.access());
    access.write = !looks_only;
    let vault = context.vault(access)?;
    let failed = |error: &Error| context.explain(error);
    let _turn = if looks_only { None } else { Some(vault.batch().map_err(|e| failed(&e))?) };

    let mut report = Report::new(&context.output, "records")?;
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    let ask = |users: &[_]| vault.rewrap(users, looks_only);
    let outcome = batch::for_each(context, &vault, &arguments.user, ask, |(user, answer)| {
        counts.count(&answer);
        report.entry(&entry(&user, &answer))?;
        match answer {
            Err(error) if ends_all(&error) => Err(failed(&error)),
            Err(error) => {
                failures.push(format!("failed  {user}: {error}"));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    });
    failures.iter().try_for_each(|failure| report.line(failure))?;
    report.finish(&counts.text(arguments), &counts.json(looks_only))?;
    outcome?;
    Ok(ExitCode::from(if counts.failed == 0 { 0 } else { NOT_DECRYPTED }))
}

fn entry(user: &UserId, answer: &Result<Rewritten, Error>) -> Value {
    match answer {
        Ok(rewritten) => json!({
            "user_id": user.as_str(),
            "stale": rewritten.changed,
            "key_id": rewritten.key.as_ref().and_then(|key| key.id.as_ref()),
            "encryption_version": rewritten.before.version,
        }),
        Err(error) => json!({ "user_id": user.as_str(), "error": output::error(error) }),
    }
}

#[derive(Default)]
struct Counts {
    /// Those that were under the primary key already.
    done: usize,
    /// Those that were under another.
    stale: usize,
    failed: usize,
    /// How many records were found under which key.
    keys: BTreeMap<String, usize>,
}

impl Counts {
    fn count(&mut self, answer: &Result<Rewritten, Error>) {
        match answer {
            Ok(rewritten) if rewritten.changed => self.stale += 1,
            Ok(_) => self.done += 1,
            Err(_) => self.failed += 1,
        }
        if let Some(key) = answer.as_ref().ok().and_then(|rewritten| rewritten.key.as_ref()) {
            *self.keys.entry(label(key)).or_default() += 1;
        }
    }

    fn text(&self, arguments: &Rotate) -> String {
        let Self { done, stale, failed, keys } = self;
        if arguments.status {
            let keys: String =
                keys.iter().map(|(key, records)| format!("{records:7} under {key}\n")).collect();
            return format!("{keys}{done} done, {stale} stale, {failed} failed");
        }
        let rotated = if arguments.dry_run { "would be rotated" } else { "rotated" };
        format!("{stale} {rotated}, {done} under the primary key already, {failed} failed")
    }

    fn json(&self, looks_only: bool) -> Value {
        json!({
            "dry_run": looks_only,
            "done": self.done,
            "stale": self.stale,
            "failed": self.failed,
            "keys": self.keys,
        })
    }
}

fn label(key: &KeyInfo) -> String {
    let role = if key.primary { "the primary key" } else { "another key" };
    key.id.as_ref().map_or_else(|| role.to_owned(), |id| format!("{role} {id:?}"))
}
