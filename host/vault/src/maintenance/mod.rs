//! Looking after a whole directory: work on many records at once, key rotation, and examining what is there.

mod batch;
mod directory;
mod names;
mod records;
mod rollback;
mod rotation;

pub use crate::age::{is_in_the_future, is_older_than, time_ago};
pub use crate::directory::sync_directory;
pub use batch::{Selection, affects_all_records, for_each};
pub use directory::{DirectoryReport, SettingsState, free_space};
pub use names::Names;
pub use records::{RecordsReport, SOON};
pub use rollback::{Deviation, compare_with_log};
pub use rotation::{Rotation, rewrap_until_current};
