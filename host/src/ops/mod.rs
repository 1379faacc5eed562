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
