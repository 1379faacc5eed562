use crate::contract::Summary;
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Decrypts each of a few records in one call and returns all but their secrets, an answer for each in the order
    /// asked.
    ///
    /// # Errors
    ///
    /// Of each record, those of [`Vault::describe`]; as a whole, those of [every call](Vault#errors).
    pub fn verify(&self, users: &[UserId]) -> Result<Vec<Result<Summary, Error>>, Error> {
        let request = Request::new(Operation::Verify, users);
        let answers = self.for_each(&request, |component, store, user_ids| {
            component.vault(store)?.call_verify(store, user_ids)
        })?;
        let covered = |answer: Result<Summary, Error>| answer.map(|all| self.without_others(all));
        Ok(answers.into_iter().map(covered).collect())
    }
}
