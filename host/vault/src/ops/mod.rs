//! What a vault does, one operation per file.

mod apply;
mod change;
mod configure;
mod copy;
mod history;
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

use std::slice;

use wasmtime::Store;

use crate::audit::Outcome;
use crate::contract::{self, ErrorCode, Summary};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::restriction::Admission;
use crate::sandbox::{Answer, Call, Exports, Function};
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
        function: impl Function<Result<Summary, contract::Error>>,
    ) -> Result<Summary, Error> {
        let summary = self.call(&Request::new(operation, slice::from_ref(user)), function)?;
        Ok(self.without_others(summary))
    }

    /// Without the names of the fields that are not in scope.
    fn without_others(&self, mut summary: Summary) -> Summary {
        summary.field_names.retain(|name| self.restrictions().cover_secret(name));
        summary
    }

    /// Calls a function of the component that answers for each of some users, and tries again where another writer was
    /// faster.
    fn for_each<A: Answer>(
        &self,
        request: &Request<'_>,
        function: impl Fn(
            &Exports<'_>,
            &mut Store<Call>,
            &[String],
        ) -> wasmtime::Result<Vec<Result<A, contract::Error>>>,
    ) -> Result<Answers<A>, Error> {
        let ask = |users: &[UserId], admission: &Admission| -> Result<Answers<A>, Error> {
            let user_ids: Vec<String> = users.iter().map(UserId::to_string).collect();
            self.enter_for_each(admission, &Request { users, ..*request }, |component, store| {
                function(component, store, &user_ids)
            })
        };
        let ask_until_written = |admission: &Admission| {
            let mut answers = ask(request.users, admission)?;
            for (user, answer) in request.users.iter().zip(&mut answers) {
                let is_lost = |answer: &Result<A, Error>| {
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
        let outcome = |answer: &Result<A, Error>| match answer {
            Ok(answer) => Outcome::done(answer.key()),
            Err(error) => Outcome::failed(error),
        };
        self.perform(request, ask_until_written, |answers| answers.iter().map(outcome).collect())
    }
}
