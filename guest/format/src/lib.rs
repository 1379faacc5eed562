//! What the component and its hosts both have to know of the credential format, and neither may know differently. No
//! cryptography.

pub mod members;
pub mod user_id;
pub mod weakness;
