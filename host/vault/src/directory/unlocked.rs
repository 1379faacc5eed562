//! What it takes to share a directory with programs that write in place and take no lock, as the FossaWork application
//! does.
//!
//! A reader may find such a file half-written: it is read again until it is whole, or has been left alone for a while. And
//! a save may come between a writer's comparison and its rename: the file that lost its name is looked at once more, and
//! what was saved into it is put back.

use std::thread;
use std::time::Duration;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::file::Opened;
use crate::error::Error;

/// How long a file that isn't whole has to have been left alone before it is believed to stay like that.
const LEFT_ALONE: Duration = Duration::from_millis(200);

/// The pause before a file is read again.
const PAUSE: Duration = Duration::from_millis(5);

/// How often a file is read at most: where the file system has a clock of its own, its age says nothing.
const READINGS: u32 = 40;

/// How often a file is read at most, for 2 s, that somebody is known to be in the midst of writing.
const READINGS_OF_A_SAVE: u32 = 400;

/// Reads a file that this opens, over again while another program is in the midst of writing it. `None`: there is none.
pub(super) fn read_whole(
    mut open: impl FnMut() -> Result<Option<Opened>, Error>,
) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    for _ in 1..READINGS {
        let Some(mut opened) = open()? else { return Ok(None) };
        let contents = opened.contents()?;
        if is_whole(&contents) || opened.age()? >= LEFT_ALONE {
            return Ok(Some(contents));
        }
        thread::sleep(PAUSE);
    }
    open()?.map(|mut opened| opened.contents()).transpose()
}

/// What a program has saved into a file since it had these contents; `None` if nothing, or nothing that is whole.
pub(super) fn saved_since(contents: &[u8], opened: &mut Opened) -> Option<Zeroizing<Vec<u8>>> {
    for _ in 0..READINGS_OF_A_SAVE {
        let now = opened.contents().ok()?;
        if *now == contents {
            return None;
        }
        if is_whole(&now) {
            return Some(now);
        }
        thread::sleep(PAUSE);
    }
    None
}

/// Whether it is a JSON document: what was cut off isn't.
fn is_whole(contents: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(contents).is_ok()
}
