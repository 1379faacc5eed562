//! A line being typed: edited with the terminal's own special characters, and otherwise taken byte for byte.

use std::mem;

use rustix::process::Signal;
use rustix::termios::{LocalModes, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

use crate::ambient::MAX_SECRET_BYTES;

/// What some terminals send before and after pasted text.
const PASTE_MARKERS: [&[u8]; 2] = [b"\x1b[200~", b"\x1b[201~"];

/// What was typed.
pub(super) enum Typed {
    /// A line; `None` for one of more than [`MAX_SECRET_BYTES`].
    Line(Option<Zeroizing<Vec<u8>>>),
    /// End of input.
    End,
    /// A key that sends this signal.
    Key(Signal),
}

pub(super) struct Line<'t> {
    terminal: &'t Termios,
    /// Allocated at full size, because a growing buffer would leave copies behind.
    bytes: Zeroizing<Vec<u8>>,
    too_long: bool,
    /// Whether the next byte is taken literally.
    quoted: bool,
}

impl<'t> Line<'t> {
    /// An empty line, typed at a terminal with these settings.
    pub(super) fn new(terminal: &'t Termios) -> Self {
        let bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES));
        Self { terminal, bytes, too_long: false, quoted: false }
    }

    /// Takes the next byte, and returns what was typed once it is complete.
    pub(super) fn typed(&mut self, byte: u8) -> Option<Typed> {
        if mem::take(&mut self.quoted) {
            self.push(byte);
        } else if let Some(signal) = self.signal(byte) {
            return Some(Typed::Key(signal));
        } else if matches!(byte, b'\n' | b'\r') {
            let line = mem::take(&mut self.bytes);
            return Some(Typed::Line((!self.too_long).then_some(line)));
        } else if self.is(byte, SpecialCodeIndex::VEOF) {
            return Some(Typed::End);
        } else if self.is(byte, SpecialCodeIndex::VERASE) {
            self.erase();
        } else if self.is(byte, SpecialCodeIndex::VKILL) {
            self.bytes.clear();
            self.too_long = false;
        } else if self.is_extended(byte, SpecialCodeIndex::VWERASE) {
            self.erase_word();
        } else if self.is_extended(byte, SpecialCodeIndex::VLNEXT) {
            self.quoted = true;
        } else {
            self.push(byte);
        }
        None
    }

    /// Whether the byte is this special character. Zero means that it is not assigned.
    fn is(&self, byte: u8, special: SpecialCodeIndex) -> bool {
        byte != 0 && byte == self.terminal.special_codes[special]
    }

    fn is_extended(&self, byte: u8, special: SpecialCodeIndex) -> bool {
        self.terminal.local_modes.contains(LocalModes::IEXTEN) && self.is(byte, special)
    }

    fn signal(&self, byte: u8) -> Option<Signal> {
        let keys = [
            (SpecialCodeIndex::VINTR, Signal::INT),
            (SpecialCodeIndex::VQUIT, Signal::QUIT),
            (SpecialCodeIndex::VSUSP, Signal::TSTP),
        ];
        let sends = self.terminal.local_modes.contains(LocalModes::ISIG);
        keys.into_iter().find_map(|(key, signal)| (sends && self.is(byte, key)).then_some(signal))
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() == MAX_SECRET_BYTES {
            // Only clearing the line fixes this, because it is no longer known which bytes are missing.
            self.too_long = true;
            return;
        }
        self.bytes.push(byte);
        let text = PASTE_MARKERS.iter().find_map(|marker| self.bytes.strip_suffix(*marker));
        if let Some(length) = text.map(<[u8]>::len) {
            self.bytes.truncate(length);
        }
    }

    fn erase(&mut self) {
        if let Some((_, start)) = self.last() {
            self.bytes.truncate(start);
        }
    }

    /// As in Linux: erases what follows the last word, then the word's letters, digits and underscores.
    fn erase_word(&mut self) {
        for in_word in [false, true] {
            while let Some((last, start)) = self.last()
                && (last.is_alphanumeric() || last == '_') == in_word
            {
                self.bytes.truncate(start);
            }
        }
    }

    /// The last character and its position. A byte that isn't UTF-8 counts as one character.
    fn last(&self) -> Option<(char, usize)> {
        let length = self.bytes.len();
        let starting_at = |start| {
            let text = std::str::from_utf8(self.bytes.get(start..)?).ok()?;
            Some((text.chars().next()?, start))
        };
        let broken = || Some((char::REPLACEMENT_CHARACTER, length.checked_sub(1)?));
        (1..=4).find_map(|n| starting_at(length.checked_sub(n)?)).or_else(broken)
    }
}
