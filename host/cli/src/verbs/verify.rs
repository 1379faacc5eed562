//! `moat verify`: checks that records can be decrypted.

use std::process::ExitCode;

use moat::maintenance::{Selection, for_each};
use moat::{Error, Operation, Summary, UserId};
use serde_json::{Value, json};

use crate::args::Verify;
use crate::context::Context;
use crate::failure::{Failure, NOT_DECRYPTED};
use crate::output;
use crate::progress::Progress;
use crate::report::Report;

pub(crate) fn run(context: &Context, verify: &Verify) -> Result<ExitCode, Failure> {
    let access = Operation::Verify.access().or(Operation::Users.access());
    let vault = context.vault(access)?;
    let mut report = Report::new(&context.output, "records")?;
    let (mut ok, mut failed) = (0, 0);
    let ask = |users: &[_]| vault.verify(users);
    let selection = Selection::of(&verify.users);
    let progress = Progress::over(context, &vault, selection);
    let outcome = for_each(&vault, selection, ask, |user, answer| {
        let text = match answer {
            Ok(_) => {
                ok += 1;
                format!("ok      {user}")
            }
            Err(error) => {
                failed += 1;
                format!("failed  {user}: {error}")
            }
        };
        progress.report(|| report.add(&text, &record(user, answer)))
    });
    drop(progress);
    report.finish(&format!("{ok} ok, {failed} failed"), &json!({ "ok": ok, "failed": failed }))?;
    outcome.map_err(|interruption| interruption.explain(context))?;
    Ok(ExitCode::from(if failed == 0 { 0 } else { NOT_DECRYPTED }))
}

fn record(user: &UserId, answer: &Result<Summary, Error>) -> Value {
    match answer {
        Ok(summary) => {
            let version = &summary.envelope.version;
            json!({ "user_id": user.as_str(), "ok": true, "encryption_version": version, "key_id": summary.key.id })
        }
        Err(error) => {
            json!({ "user_id": user.as_str(), "ok": false, "error": output::error(error) })
        }
    }
}
