//! Some of many names.

use std::ffi::{OsStr, OsString};

/// How many names are kept.
const KEPT: usize = 5;

/// The first few of many names, and their number. Memory use doesn't grow with it.
#[derive(Clone, Debug, Default)]
pub struct Names {
    count: usize,
    first: Vec<OsString>,
}

impl<N: AsRef<OsStr>> FromIterator<N> for Names {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        let mut all = Self::default();
        names.into_iter().for_each(|name| all.add(name));
        all
    }
}

impl Names {
    pub(super) fn add(&mut self, name: impl AsRef<OsStr>) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(name.as_ref().to_owned());
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first few. A file's name need not be UTF-8 and can have control characters.
    pub fn first(&self) -> &[OsString] {
        &self.first
    }
}
