use crate::audit::Outcome;
use crate::contract::Summary;
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::restriction::Admission;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Stores the credential of another user for this one, with all that belongs to it: when it was used, when it expires, its
    /// earlier versions. No secret leaves the component.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorCode::NotFound) when there is no source, [`Conflict`](crate::ErrorCode::Conflict) when this
    /// user has a credential already, and those of [`Vault::mark_used`].
    pub fn copy(&self, user: &UserId, source: &UserId) -> Result<Summary, Error> {
        // The first is the one that is written.
        let users = [user.clone(), source.clone()];
        let request = Request::new(Operation::Copy, &users);
        let copy = |admission: &Admission| {
            self.enter(admission, &request, |component, store| {
                component.vault(store)?.call_copy(store, user.as_str(), source.as_str())
            })
        };
        self.perform(&request, copy, |summary: &Summary| {
            vec![Outcome::done(Some(&summary.key)), Outcome::done(None)]
        })
    }
}
