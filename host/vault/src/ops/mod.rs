//! What a vault does, one operation per file.

mod apply;
mod audit_detail;
mod inspect;
mod leftovers;
mod mark;
mod migrate;
mod neighbours;
mod pages;
mod put;
mod remove;
mod reveal;
mod users;
mod verify;

pub use leftovers::Leftover;
pub use neighbours::KeyMismatch;
#[cfg(feature = "http")]
pub(crate) use reveal::PASSWORD;

use std::collections::HashMap;
use std::slice;

use wasmtime::Store;

use crate::audit::Outcome;
use crate::contract::{self, ErrorCode, Summary};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::restriction::Admission;
use crate::sandbox::{Call, Exports, Function};
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// How often a record is tried again after another writer was faster.
const CONFLICTS: usize = 16;

/// An answer for each of some users, in the order asked.
type Answers<T> = Vec<Result<T, Error>>;

impl Vault {
    /// Calls a function of the component that returns all but the secrets of this user's record.
    fn summarize(
        &self,
        operation: Operation,
        user: &UserId,
        function: impl Function<Summary>,
    ) -> Result<Summary, Error> {
        let summary = self.call(&Request::new(operation, slice::from_ref(user)), function)?;
        check_user(&summary, user)?;
        Ok(summary)
    }

    /// Calls a function of the component that answers for each of some users, checks each answer, and tries again where
    /// another writer was faster.
    fn for_each<T>(
        &self,
        request: &Request<'_>,
        check: impl Fn(&UserId, &T) -> Result<(), Error>,
        done: impl Fn(&T) -> Outcome,
        function: impl Fn(
            &Exports<'_>,
            &mut Store<Call>,
            &[String],
        ) -> wasmtime::Result<Vec<Result<T, contract::Error>>>,
    ) -> Result<Answers<T>, Error> {
        let ask = |users: &[UserId], admission: &Admission| -> Result<Answers<T>, Error> {
            let user_ids: Vec<String> = users.iter().map(UserId::to_string).collect();
            let mut failed = Ok(HashMap::new());
            let answers = self.enter(admission, request.operation, users, |component, store| {
                let answers = function(component, &mut *store, &user_ids)?;
                failed = store.data_mut().commit();
                Ok(Ok(answers))
            })?;
            if answers.len() != users.len() {
                return Err(Error::answer("returned the wrong number of answers"));
            }
            let mut failed = failed?;
            let answers = users.iter().zip(answers).map(|(user, answer)| {
                let answer = answer?;
                check(user, &answer)?;
                failed.remove(&user.file_name()).map_or(Ok(answer), Err)
            });
            Ok(answers.collect())
        };
        let ask_until_written = |admission: &Admission| {
            let mut answers = ask(request.users, admission)?;
            for (user, answer) in request.users.iter().zip(&mut answers) {
                let is_lost = |answer: &Result<T, Error>| {
                    answer.as_ref().is_err_and(|error| error.code() == ErrorCode::Conflict)
                };
                for _ in 0..CONFLICTS {
                    if !is_lost(answer) {
                        break;
                    }
                    ask(slice::from_ref(user), admission)?
                        .into_iter()
                        .for_each(|again| *answer = again);
                }
            }
            Ok(answers)
        };
        let outcome = |answer: &Result<T, Error>| match answer {
            Ok(answer) => done(answer),
            Err(error) => Outcome::failed(error),
        };
        self.perform(request, ask_until_written, |answers| answers.iter().map(outcome).collect())
    }
}

/// Refuses an answer about another user than the one that the component was asked about.
fn check_user(summary: &Summary, user: &UserId) -> Result<(), Error> {
    check_name(&summary.user_id, user)
}

fn check_name(user_id: &str, user: &UserId) -> Result<(), Error> {
    if user_id != user.as_str() {
        return Err(Error::answer("answered for another user"));
    }
    Ok(())
}
