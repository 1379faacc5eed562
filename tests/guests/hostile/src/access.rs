//! Beyond the grant: files, lists, keys and slots that the call is not for.

use crate::imports::{lookup, names, read, remember, remove, ring, write};
use crate::{Misdeed, file};

pub(crate) const MISDEEDS: &[Misdeed] = &[
    ("read-above", |_| read("../x")),
    ("read-below", |user| read(&format!("./{}", file(user)))),
    ("read-an-absolute-path", |_| read("/etc/passwd")),
    ("read-the-lock", |_| read(".moat.lock")),
    ("read-another-user", |_| read("anna.cred")),
    ("read-no-name", |_| read("")),
    ("read-a-name-with-nul", |user| read(&format!("{}\0", file(user)))),
    ("read-a-name-in-other-case", |user| read(&file(user).to_uppercase())),
    ("read-a-name-that-is-no-text", |_| read(b"\xff.cred")),
    ("read-a-long-name", |_| read(&"a".repeat(1 << 20))),
    // What it may not read is in messages for people, but not what it may.
    ("tell-a-key", |_| read(ring().key())),
    ("list", |_| names()),
    ("take-the-keys", |_| ring()),
    ("write", |user| write(&file(user), "written", "")),
    ("write-another-user", |_| write("anna.cred", "written", "")),
    ("write-beside-the-records", |_| write("notes.txt", "written", "")),
    ("remove", |user| remove(&file(user))),
    ("remove-another-user", |_| remove("anna.cred")),
    ("take-the-key-of-another-user", |_| lookup("anna", "")),
    ("keep-a-mebibyte", |user| remember(user, &[0; 1 << 20])),
    ("replace-the-key-of-another-user", |_| remember("anna", &[0; 32])),
];
