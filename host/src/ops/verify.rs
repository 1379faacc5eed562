use super::check_user;
use crate::contract::Summary;
use crate::error::Error;
use crate::sandbox::Operation;
use crate::user_id::UserId;
use crate::vault::Vault;

impl Vault {
    /// Opens each of a few records in one call and tells all but their secrets, an answer each in the order
    /// asked. Fails as a whole when the sandbox stops the call.
    pub fn verify(&self, users: &[UserId]) -> Result<Vec<Result<Summary, Error>>, Error> {
        let user_ids: Vec<String> = users.iter().map(UserId::to_string).collect();
        let answers = self.call(Operation::Verify, users, |component, store| {
            let vault = component.fossawork_credentials_vault();
            vault.call_verify(store, &user_ids).map(Ok)
        })?;
        if answers.len() != users.len() {
            return Err(Error::answer("answered for fewer or more users than it was asked for"));
        }
        let answers = users.iter().zip(answers).map(|(user, answer)| {
            let summary = answer?;
            check_user(&summary, user)?;
            Ok(summary)
        });
        Ok(answers.collect())
    }
}
