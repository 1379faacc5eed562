//! The Fernet token of a record, in both spellings.
//!
//! A token is `0x80 ‖ time (8) ‖ IV (16) ‖ ciphertext (n × 16) ‖ HMAC (32)` in URL-safe base64
//! (<https://github.com/fernet/spec/blob/master/Spec.md>). The FossaWork application puts that text into
//! base64 a second time. Decoding is strict, so that one token has one spelling each way.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use zeroize::Zeroizing;

use crate::contract::TokenEncoding;

const VERSION: u8 = 0x80;
/// Version, time and IV in front of the ciphertext, the HMAC behind it.
const OVERHEAD: usize = 1 + 8 + 16 + 32;
const BLOCK: usize = 16;
/// How far ahead of "now" `fernet` lets a token's time be, in seconds.
const MAX_CLOCK_SKEW: u64 = 60;

/// A well-formed token, not yet verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    text: String,
    time: u64,
}

impl Token {
    /// Reads a token in either spelling; `None` when the text is neither.
    pub fn decode(encrypted_data: &str) -> Option<(Self, TokenEncoding)> {
        let once = URL_SAFE.decode(encrypted_data).ok()?;
        if once.first() == Some(&VERSION) {
            let token = Self::from_bytes(encrypted_data, &once)?;
            return Some((token, TokenEncoding::Documented));
        }
        let text = std::str::from_utf8(&once).ok()?;
        let token = Self::from_bytes(text, &URL_SAFE.decode(text).ok()?)?;
        Some((token, TokenEncoding::App))
    }

    fn from_bytes(text: &str, bytes: &[u8]) -> Option<Self> {
        let (&version, rest) = bytes.split_first()?;
        let (&time, _) = rest.split_first_chunk::<8>()?;
        let ciphertext = bytes.len().checked_sub(OVERHEAD)?;
        if version != VERSION || ciphertext == 0 || !ciphertext.is_multiple_of(BLOCK) {
            return None;
        }
        Some(Self { text: text.to_owned(), time: u64::from_be_bytes(time) })
    }

    /// The text that stands in a record.
    pub fn encode(&self, encoding: TokenEncoding) -> String {
        match encoding {
            TokenEncoding::Documented => self.text.clone(),
            TokenEncoding::App => URL_SAFE.encode(&self.text),
        }
    }

    /// The time that the token says it was made at, in seconds since 1970.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Encrypts, with a fresh IV.
    pub fn seal(key: &Fernet, plaintext: &[u8], now: u64) -> Self {
        Self { text: key.encrypt_at_time(plaintext, now), time: now }
    }

    /// Verifies the HMAC and decrypts; `None` when the key is another or the token was altered.
    ///
    /// The clock has no say: `fernet` is told the token's own time, or it would refuse a credential that was
    /// written before the clock was set back. The cap keeps its addition from overflowing.
    pub fn open(&self, key: &Fernet) -> Option<Zeroizing<Vec<u8>>> {
        let now = self.time.min(u64::MAX - MAX_CLOCK_SKEW);
        let plaintext = key.decrypt_at_time(&self.text, None, now).ok()?;
        Some(Zeroizing::new(plaintext))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Fernet {
        Fernet::new(&URL_SAFE.encode([7; 32])).unwrap()
    }

    #[test]
    fn opens_in_both_spellings() {
        let sealed = Token::seal(&key(), b"secret", 1_700_000_000);
        for encoding in [TokenEncoding::Documented, TokenEncoding::App] {
            let (token, found) = Token::decode(&sealed.encode(encoding)).unwrap();
            assert_eq!((&token, found), (&sealed, encoding));
            assert_eq!(token.time(), 1_700_000_000);
            assert_eq!(token.open(&key()).unwrap().as_slice(), b"secret");
        }
    }

    #[test]
    fn the_time_of_a_token_is_no_reason_to_refuse_it() {
        for time in [0, u64::MAX - 61, u64::MAX - 60, u64::MAX] {
            let (token, _) = Token::decode(&Token::seal(&key(), b"x", time).text).unwrap();
            assert!(token.open(&key()).is_some(), "{time}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let text = Token::seal(&key(), b"secret", 1).text;
        let standard = text.replace('-', "+").replace('_', "/");
        let mut bad = vec![
            format!("{text}="),
            format!("{text}\n"),
            format!(" {text}"),
            text.trim_end_matches('=').to_owned(),
            URL_SAFE.encode(URL_SAFE.encode(&text)),
            String::new(),
            "gAAAAA==".to_owned(),
            URL_SAFE.encode([VERSION; OVERHEAD]),
            URL_SAFE.encode([VERSION; OVERHEAD + BLOCK + 1]),
        ];
        if standard != text {
            bad.push(standard);
        }
        for text in bad {
            assert_eq!(Token::decode(&text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(at in 0usize..89, bit in 0u8..8) {
            let text = Token::seal(&key(), b"sixteen bytes, and more", 1).text;
            let mut bytes = URL_SAFE.decode(text).unwrap();
            bytes[at] ^= 1 << bit;
            let opened = Token::decode(&URL_SAFE.encode(bytes)).and_then(|(token, _)| token.open(&key()));
            prop_assert!(opened.is_none());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Token::decode(&text);
        }
    }
}
