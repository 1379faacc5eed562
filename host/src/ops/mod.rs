//! What a vault does, one operation a file: the waist that the command line and the library share.

mod inspect;
mod mark;
mod put;
mod remove;
mod reveal;
mod users;
mod verify;

pub use put::{PutOptions, Stored};
pub use reveal::Revealed;
pub use users::Users;

use crate::contract::Summary;
use crate::error::Error;
use crate::user_id::UserId;

/// Refuses an answer about another user than the one that the component was asked about.
fn check_user(summary: &Summary, user: &UserId) -> Result<(), Error> {
    if summary.user_id != user.as_str() {
        return Err(Error::answer("answered for another user"));
    }
    Ok(())
}
