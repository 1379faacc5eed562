//! Answers of imports and of exports, in the memory layout of the canonical ABI.

/// The code `malformed` of the contract.
const MALFORMED: usize = 6;

/// Room for the largest answer of the contract, zeroed. On its own that is a well-formed answer: every
/// `result` is a success, every `option` is none, every text and list is empty.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Answer([usize; 64]);

impl Answer {
    pub(crate) const EMPTY: Self = Self([0; 64]);

    /// An answer with these words in it, each at its index.
    pub(crate) fn with(words: &[(usize, usize)]) -> Self {
        let mut answer = Self::EMPTY;
        for (index, word) in words {
            answer.0[*index] = *word;
        }
        answer
    }

    /// The failure of any `result`.
    pub(crate) fn error(message: &'static str) -> Self {
        Self::failure(MALFORMED, message)
    }

    /// The failure of any `result`, with the code of this place in the contract.
    pub(crate) fn failure(code: usize, message: &'static str) -> Self {
        Self::with(&[(0, 1), (1, code), (2, message.as_ptr() as usize), (3, message.len())])
    }

    /// A summary of this user's record: the label of its key, if it has one, whether that is the primary one, and the
    /// revision of the record.
    pub(crate) fn summary(
        user: &'static str,
        label: Option<&'static str>,
        is_primary: bool,
        revision: &'static str,
    ) -> Self {
        let mut answer = Self::EMPTY;
        let mut set = |index: usize, text: &'static str| {
            (answer.0[index], answer.0[index + 1]) = (text.as_ptr() as usize, text.len());
        };
        set(1, user);
        set(23, label.unwrap_or_default());
        set(43, revision);
        answer.0[22] = label.is_some().into();
        answer.0[25] = is_primary.into();
        answer
    }

    /// Whether a `result` failed.
    pub(crate) fn failed(&self) -> bool {
        self.0[0] & 0xff != 0
    }

    /// Whether `read` found a file.
    pub(crate) fn found(&self) -> bool {
        self.0[1] & 0xff != 0
    }

    /// The number of 64 bits that an import answered with.
    pub(crate) fn long(&self) -> u64 {
        self.0[0] as u64 | (self.0[1] as u64) << 32
    }

    /// A list of bytes that an import answered with, or a text.
    pub(crate) fn bytes(&self, index: usize) -> &'static [u8] {
        // SAFETY: asked only where the contract has one.
        unsafe { list(&self.0[index..]) }
    }

    /// What `names` answered.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        // SAFETY: this is how the contract has a list of texts.
        unsafe { list::<[usize; 2]>(&self.0[1..]).iter().map(|name| text(name)) }
    }

    /// The first of the keys that `ring` answered.
    pub(crate) fn key(self) -> &'static [u8] {
        // SAFETY: this is how the contract has a list of keys: a label in four words, and the material.
        unsafe { list(&list::<[usize; 6]>(&self.0[1..])[0][4..]) }
    }

    /// Where it stands, for as long as the instance lives.
    pub(crate) fn place(self) -> usize {
        std::ptr::from_mut(Box::leak(Box::new(self))) as usize
    }
}

/// The list that stands at the first of these words and is as long as the second one says.
///
/// # Safety
///
/// The host has to have written it, with these elements. It puts lists where `cabi_realloc` says, and
/// they are never freed.
pub(crate) unsafe fn list<T>(words: &[usize]) -> &'static [T] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(words[0] as *const T, words[1]) }
}

/// The text that stands at the first of these words and is as long as the second one says.
///
/// # Safety
///
/// The host has to have written it.
pub(crate) unsafe fn text(words: &[usize]) -> &'static str {
    // SAFETY: the caller's promise; the host writes nothing but UTF-8.
    unsafe { std::str::from_utf8_unchecked(list(words)) }
}
