//! The layout of a record's Fernet token, in both encodings.
//!
//! A token is `0x80 ‖ time (8) ‖ IV (16) ‖ ciphertext (n × 16, n > 0) ‖ HMAC (32)` in URL-safe base64
//! (<https://github.com/fernet/spec/blob/master/Spec.md>). The FossaWork application encodes that text in base64 a second
//! time. Decoding is strict, so that a token has exactly one text in each encoding.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use crate::error::FormatError;
use crate::message::Message;

const VERSION: u8 = 0x80;
const HMAC_BYTES: usize = 32;
const BLOCK_BYTES: usize = 16;

/// How `encrypted_data` encodes a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The token itself, as the format is documented: `gAAAAAB…`.
    Documented,
    /// The token in base64 once more, as the FossaWork application writes and reads it: `Z0FBQUFBQ…`.
    App,
}

impl Encoding {
    /// Both encodings.
    pub const ALL: [Self; 2] = [Self::Documented, Self::App];

    /// The encoding of this name.
    ///
    /// # Errors
    ///
    /// [`FormatError::Malformed`] for an unknown one.
    pub fn parse(name: &str) -> Result<Self, FormatError> {
        let unknown = FormatError::Malformed(Message::UnknownEncoding);
        Self::ALL.into_iter().find(|encoding| encoding.name() == name).ok_or(unknown)
    }

    /// The value of `token_encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::App => "app",
        }
    }
}

/// A well-formed token, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    text: String,
    time: u64,
    iv: [u8; 16],
}

impl Token {
    /// Reads a token in the one encoding, as the Fernet specification has it; `None` when it is not well-formed.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE.decode(text).ok()?;
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (&time, rest) = rest.split_first_chunk()?;
        let (&iv, rest) = rest.split_first_chunk()?;
        let (ciphertext, _hmac) = rest.split_last_chunk::<HMAC_BYTES>()?;
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK_BYTES) {
            return None;
        }
        Some(Self { text: text.to_owned(), time: u64::from_be_bytes(time), iv })
    }

    /// Reads a token in either encoding; `None` when it is well-formed in neither.
    pub fn decode(encrypted_data: &str) -> Option<(Self, Encoding)> {
        if let Some(token) = Self::parse(encrypted_data) {
            return Some((token, Encoding::Documented));
        }
        let text = String::from_utf8(URL_SAFE.decode(encrypted_data).ok()?).ok()?;
        Some((Self::parse(&text)?, Encoding::App))
    }

    /// The value of `encrypted_data`.
    pub fn encode(&self, encoding: Encoding) -> String {
        match encoding {
            Encoding::Documented => self.text.clone(),
            Encoding::App => URL_SAFE.encode(&self.text),
        }
    }

    /// The token itself, in base64 once.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The time that the token states, in seconds since 1970.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// The initialization vector.
    pub fn iv(&self) -> &[u8; 16] {
        &self.iv
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(ciphertext: usize) -> Vec<u8> {
        // The values of the bytes matter to nobody here, but some encode to the two letters in which alphabets differ.
        let mut bytes = vec![0xfb; 1 + 8 + 16 + ciphertext + HMAC_BYTES];
        bytes[0] = VERSION;
        bytes
    }

    #[test]
    fn reads_both_encodings() {
        let text = URL_SAFE.encode(bytes(BLOCK_BYTES));
        for (encrypted_data, encoding) in
            [(text.clone(), Encoding::Documented), (URL_SAFE.encode(&text), Encoding::App)]
        {
            let (token, found) = Token::decode(&encrypted_data).unwrap();
            assert_eq!((token.as_str(), found), (&*text, encoding));
            assert_eq!((token.time(), *token.iv()), (u64::from_be_bytes([0xfb; 8]), [0xfb; 16]));
            assert_eq!(token.encode(encoding), encrypted_data);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let text = URL_SAFE.encode(bytes(BLOCK_BYTES));
        let standard = text.replace('-', "+").replace('_', "/");
        assert_ne!(standard, text);
        for text in [
            format!("{text}="),
            format!("{text}\n"),
            format!(" {text}"),
            text.trim_end_matches('=').to_owned(),
            URL_SAFE.encode(URL_SAFE.encode(&text)),
            String::new(),
            "gAAAAA==".to_owned(),
            URL_SAFE.encode(bytes(0)),
            URL_SAFE.encode(bytes(BLOCK_BYTES + 1)),
            URL_SAFE.encode([&[0x81], &bytes(BLOCK_BYTES)[1..]].concat()),
            standard,
        ] {
            assert_eq!(Token::decode(&text), None, "{text}");
        }
    }

    #[test]
    fn an_encoding_has_a_name() {
        assert_eq!(Encoding::ALL.map(Encoding::name), ["documented", "app"]);
        for encoding in Encoding::ALL {
            assert_eq!(Encoding::parse(encoding.name()), Ok(encoding));
        }
        let unknown = FormatError::Malformed(Message::UnknownEncoding);
        assert_eq!(Encoding::parse("App"), Err(unknown));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Token::decode(&text);
        }
    }
}
