//! `moat verify`: checks that records can be decrypted.

use std::process::ExitCode;

use moat::{Operation, Summary};
use serde_json::{Value, json};

use crate::args::Verify;
use crate::batch::{self, Answer, Selection};
use crate::context::Context;
use crate::failure::{Failure, NOT_DECRYPTED};
use crate::output;
use crate::report::Report;

pub(crate) fn run(context: &Context, verify: &Verify) -> Result<ExitCode, Failure> {
    let access = Operation::Verify.access().or(Operation::Users.access());
    let vault = context.vault(access)?;
    let mut report = Report::new(&context.output, "records")?;
    let (mut ok, mut failed) = (0, 0);
    let ask = |users: &[_]| vault.verify(users);
    let outcome = batch::for_each(context, &vault, Selection::of(&verify.users), ask, |answer| {
        match &answer.1 {
            Ok(_) => ok += 1,
            Err(_) => failed += 1,
        }
        let text = match &answer {
            (user, Ok(_)) => format!("ok      {user}"),
            (user, Err(error)) => format!("failed  {user}: {error}"),
        };
        report.add(&text, &record(&answer))
    });
    report.finish(&format!("{ok} ok, {failed} failed"), &json!({ "ok": ok, "failed": failed }))?;
    outcome?;
    Ok(ExitCode::from(if failed == 0 { 0 } else { NOT_DECRYPTED }))
}

fn record((user, answer): &Answer<Summary>) -> Value {
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
