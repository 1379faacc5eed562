//! What a vault does, one operation a file: the waist that the command line and the library share.

mod inspect;
mod leftovers;
mod mark;
mod migrate;
mod pages;
mod put;
mod remove;
mod reveal;
mod users;
mod verify;

pub use leftovers::Leftover;
pub use migrate::{MigrateOptions, Rewritten};
pub use put::{PutOptions, Stored};
pub use reveal::Revealed;

use std::slice;

use wasmtime::Store;

use crate::contract::{self, Summary};
use crate::error::Error;
use crate::sandbox::bindings::CredentialVault;
use crate::sandbox::{Call, Function, Operation};
use crate::user_id::UserId;
use crate::vault::Vault;

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

    /// Calls a function of the component that answers for each of some users, and checks each answer.
    fn for_each<A, T>(
        &self,
        operation: Operation,
        users: &[UserId],
        check: impl Fn(&UserId, A) -> Result<T, Error>,
        function: impl FnOnce(
            &CredentialVault,
            &mut Store<Call>,
            &[String],
        ) -> wasmtime::Result<Vec<Result<A, contract::Error>>>,
    ) -> Result<Vec<Result<T, Error>>, Error> {
        let user_ids: Vec<String> = users.iter().map(UserId::to_string).collect();
        let answers = self.call(operation, users, |component, store| {
            function(component, store, &user_ids).map(Ok)
        })?;
        if answers.len() != users.len() {
            return Err(Error::answer("answered for fewer or more users than it was asked for"));
        }
        let answers = users.iter().zip(answers).map(|(user, answer)| check(user, answer?));
        Ok(answers.collect())
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
