//! `moat verify`: checks that records can be decrypted, and that they are as the audit log says.

use std::collections::BTreeMap;
use std::process::ExitCode;

use moat::audit::Standing;
use moat::maintenance::{Deviation, Selection, compare_with_log, for_each};
use moat::{Error, Operation, Summary, UserId};
use serde_json::{Value, json};

use super::audit_integrity;
use crate::args::Verify;
use crate::context::Context;
use crate::failure::{AUDIT, Failure, NOT_DECRYPTED};
use crate::output;
use crate::progress::Progress;
use crate::report::Report;

pub(crate) fn run(context: &Context, verify: &Verify) -> Result<ExitCode, Failure> {
    // Before the process confines itself.
    let log = verify.against_log.then(|| audit_integrity::history(context)).transpose()?;
    let access = Operation::Verify.access().or(Operation::Users.access());
    let vault = context.vault(access)?;
    let mut revisions = log.is_some().then(BTreeMap::new);
    let mut report = Report::new(&context.output, "records")?;
    let (mut ok, mut failed) = (0, 0);
    let ask = |users: &[_]| vault.verify(users);
    let selection = Selection::of(&verify.users);
    let mut progress = Progress::over(context, &vault, selection, "verifying");
    let outcome = for_each(&vault, selection, ask, |user, answer| {
        if let Some(revisions) = &mut revisions {
            let revision = answer.as_ref().ok().map(|summary| summary.envelope.revision.clone());
            revisions.insert(user.clone(), revision);
        }
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
    let mut text = format!("{ok} ok, {failed} failed");
    let mut summary = json!({ "ok": ok, "failed": failed });
    let mut is_as_logged = true;
    if let (Some((history, mut keys)), Some(revisions), Ok(())) = (log, revisions, &outcome) {
        let all = verify.users.is_empty();
        let compared = compare_with_log(&vault, revisions, all, history, &mut keys);
        let compared = compared.map_err(|error| context.explain(&error))?;
        let is_unknown = |deviation: &&Deviation| deviation.standing == Standing::Unknown;
        let (unknown, differing): (Vec<_>, Vec<_>) = compared.iter().partition(is_unknown);
        for deviation in &differing {
            report.line(&format!("differs {}", explained(deviation)))?;
        }
        let (differ, others) = (differing.len(), unknown.len());
        text += &format!("; {differ} differ from the log, which says nothing of {others}");
        let log = json!({
            "differing": differing.iter().map(|deviation| value(deviation)).collect::<Vec<_>>(),
            "unknown": unknown.iter().map(|deviation| &deviation.name).collect::<Vec<_>>(),
        });
        summary.as_object_mut().map(|summary| summary.insert("log".to_owned(), log));
        is_as_logged = differing.is_empty();
    }
    report.finish(&text, &summary)?;
    outcome.map_err(|interruption| interruption.explain(context))?;
    Ok(ExitCode::from(match (failed, is_as_logged) {
        (0, true) => 0,
        (0, false) => AUDIT,
        _ => NOT_DECRYPTED,
    }))
}

fn value(deviation: &Deviation) -> Value {
    json!({ "name": deviation.name, "message": explained(deviation) })
}

fn explained(Deviation { name, standing, .. }: &Deviation) -> String {
    let how = match standing {
        Standing::PutBack(written, last) => {
            format!("it is as it was written at {written}, but was written again at {last}")
        }
        Standing::Returned(removed) => format!("it is there again, but was removed at {removed}"),
        Standing::Foreign(last) => {
            format!("another program wrote it after the last logged write, at {last}")
        }
        Standing::Missing(last) => {
            format!("it is gone, but was written at {last} and never removed")
        }
        Standing::Unfinished(begun) => {
            format!("an operation that began at {begun} may have changed it, and was interrupted")
        }
        _ => "the log says nothing of it".to_owned(),
    };
    format!("{name}: {how}")
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
