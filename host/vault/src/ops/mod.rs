//! What a vault does, one operation a file: the waist that the command line and the library share.

mod inspect;
mod leftovers;
mod mark;
mod migrate;
mod neighbours;
mod pages;
mod put;
mod remove;
mod reveal;
mod told;
mod users;
mod verify;

pub use leftovers::Leftover;
pub use migrate::{MigrateOptions, Rewritten};
pub use neighbours::KeyMismatch;
pub use put::{PutOptions, Stored};
pub use reveal::Revealed;

use std::collections::HashMap;
use std::slice;

use wasmtime::Store;

use crate::audit::{Outcome, Told};
use crate::contract::{self, ErrorCode, Summary};
use crate::error::Error;
use crate::operation::Operation;
use crate::sandbox::bindings::CredentialVault;
use crate::sandbox::{Call, Function};
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// How often a user is asked about again who lost to another writer.
const CONFLICTS: usize = 16;

impl Vault {
    /// Calls a function of the component that tells all but the secrets of this user's record.
    fn summarize(
        &self,
        operation: Operation,
        user: &UserId,
        function: impl Function<Summary>,
    ) -> Result<Summary, Error> {
        let summary = self.call(operation, slice::from_ref(user), function)?;
        check_user(&summary, user)?;
        Ok(summary)
    }

    /// Calls a function of the component that answers for each of some users, and checks each answer. Who lost
    /// to another writer is asked about again.
    fn for_each<A, T: Told>(
        &self,
        operation: Operation,
        users: &[UserId],
        check: impl Fn(&UserId, A) -> Result<T, Error>,
        function: impl Fn(
            &CredentialVault,
            &mut Store<Call>,
            &[String],
        ) -> wasmtime::Result<Vec<Result<A, contract::Error>>>,
    ) -> Result<Vec<Result<T, Error>>, Error> {
        let ask = |users: &[UserId]| -> Result<Vec<Result<T, Error>>, Error> {
            let user_ids: Vec<String> = users.iter().map(UserId::to_string).collect();
            let mut failed = Ok(HashMap::new());
            let answers = self.enter(operation, users, |component, store| {
                let answers = function(component, &mut *store, &user_ids)?;
                failed = store.data_mut().commit();
                Ok(Ok(answers))
            })?;
            if answers.len() != users.len() {
                return Err(Error::answer(
                    "answered for fewer or more users than it was asked for",
                ));
            }
            let mut failed = failed?;
            let answers = users.iter().zip(answers).map(|(user, answer)| {
                let answer = check(user, answer?)?;
                failed.remove(&user.file_name()).map_or(Ok(answer), Err)
            });
            Ok(answers.collect())
        };
        let outcome = |answer: &Result<T, Error>| match answer {
            Ok(answer) => Outcome::done(answer),
            Err(error) => Outcome::failed(error),
        };
        let ask = |users: &[UserId]| {
            self.audited(
                operation,
                users,
                || ask(users),
                |answers| answers.iter().map(outcome).collect(),
            )
        };
        let mut answers = ask(users)?;
        for (user, answer) in users.iter().zip(&mut answers) {
            for _ in 0..CONFLICTS {
                if !answer.as_ref().is_err_and(|error| error.code() == ErrorCode::Conflict) {
                    break;
                }
                ask(slice::from_ref(user))?.into_iter().for_each(|again| *answer = again);
            }
        }
        Ok(answers)
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
