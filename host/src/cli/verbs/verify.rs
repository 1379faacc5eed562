use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use moat::{Error, Operation, Summary, UserId, Vault};
use serde_json::{Value, json};

use crate::cli::args::Verify;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, NOT_DECRYPTED};
use crate::cli::output;

/// How many records are opened before their results are printed.
const BATCH: usize = 64;
/// How many records one call into the sandbox opens.
const PER_CALL: usize = 4;

type Answer = (UserId, Result<Summary, Error>);

pub(crate) fn run(context: &Context, verify: Verify) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::Verify.access())?;
    let mut report = Report::default();
    if verify.users.is_empty() {
        let mut users = vault.users();
        loop {
            let batch: Result<Vec<_>, _> = users.by_ref().take(BATCH).collect();
            let batch = batch.map_err(|error| context.explain(&error))?;
            if batch.is_empty() {
                break;
            }
            report.add(context, open_all(&vault, &batch))?;
        }
    } else {
        for batch in verify.users.chunks(BATCH) {
            report.add(context, open_all(&vault, batch))?;
        }
    }
    report.finish(context)
}

/// Opens these records on all cores; the answers are in the order asked.
fn open_all(vault: &Vault, users: &[UserId]) -> Vec<Answer> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let calls = Mutex::new(users.chunks(PER_CALL).enumerate());
    let answers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers.min(users.len().div_ceil(PER_CALL)) {
            scope.spawn(|| {
                loop {
                    let next = calls.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((place, users)) = next else { break };
                    let answer = open(vault, users);
                    answers.lock().unwrap_or_else(PoisonError::into_inner).push((place, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().flat_map(|(_, answer)| answer).collect()
}

/// Opens a few records in one call. If the sandbox stops it, each is opened by itself, so that one record
/// can't hide the others.
fn open(vault: &Vault, users: &[UserId]) -> Vec<Answer> {
    match vault.verify(users) {
        Ok(answers) => users.iter().cloned().zip(answers).collect(),
        Err(_) => users.iter().map(|user| (user.clone(), vault.describe(user))).collect(),
    }
}

#[derive(Default)]
struct Report {
    ok: usize,
    failed: usize,
    records: Vec<Value>,
}

impl Report {
    fn add(&mut self, context: &Context, answers: Vec<Answer>) -> Result<(), Failure> {
        for (user, answer) in answers {
            match &answer {
                Ok(_) => self.ok += 1,
                Err(_) => self.failed += 1,
            }
            if context.output.json {
                self.records.push(record(&user, &answer));
                continue;
            }
            let text = match &answer {
                Ok(_) => format!("ok      {user}"),
                Err(error) => format!("failed  {user}: {error}"),
            };
            context.output.line(&output::printable(&text))?;
        }
        Ok(())
    }

    fn finish(self, context: &Context) -> Result<ExitCode, Failure> {
        let Self { ok, failed, records } = self;
        let summary = json!({ "ok": ok, "failed": failed });
        let value = json!({ "records": records, "summary": summary });
        context.output.done(&format!("{ok} ok, {failed} failed"), &value)?;
        Ok(ExitCode::from(if failed == 0 { 0 } else { NOT_DECRYPTED }))
    }
}

fn record(user: &UserId, answer: &Result<Summary, Error>) -> Value {
    match answer {
        Ok(summary) => {
            let version = &summary.envelope.version;
            json!({ "user_id": user.as_str(), "ok": true, "encryption_version": version, "key_id": summary.key.id })
        }
        Err(error) => {
            let error = json!({ "code": error.code().name(), "message": error.to_string() });
            json!({ "user_id": user.as_str(), "ok": false, "error": error })
        }
    }
}
