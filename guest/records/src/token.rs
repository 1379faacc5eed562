//! Encrypting and decrypting the Fernet token of a record.

use fernet::Fernet;
use moat_format::token::{Encoding, Token};
use zeroize::Zeroizing;

use crate::contract::TokenEncoding;

/// How far ahead of "now" `fernet` lets a token's time be, in seconds.
const MAX_CLOCK_SKEW: u64 = 60;

impl From<TokenEncoding> for Encoding {
    fn from(encoding: TokenEncoding) -> Self {
        match encoding {
            TokenEncoding::Documented => Self::Documented,
            TokenEncoding::App => Self::App,
        }
    }
}

impl From<Encoding> for TokenEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Documented => Self::Documented,
            Encoding::App => Self::App,
        }
    }
}

/// Encrypts with a fresh IV; `None` if what came out were not a token.
pub fn encrypt(key: &Fernet, plaintext: &[u8], now: u64) -> Option<Token> {
    Token::parse(&key.encrypt_at_time(plaintext, now))
}

/// Verifies the HMAC and decrypts; `None` when the key is another or the token was altered.
///
/// The clock has no say: `fernet` gets the token's own time for "now", or it would refuse a credential that was written
/// before the clock was set back. The cap keeps its addition from overflowing.
pub fn decrypt(key: &Fernet, token: &Token) -> Option<Zeroizing<Vec<u8>>> {
    let now = token.time().min(u64::MAX - MAX_CLOCK_SKEW);
    let plaintext = key.decrypt_at_time(token.as_str(), None, now).ok()?;
    Some(Zeroizing::new(plaintext))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE;
    use proptest::prelude::*;

    fn key() -> Fernet {
        Fernet::new(&URL_SAFE.encode([7; 32])).unwrap()
    }

    #[test]
    fn decrypts_in_both_encodings() {
        let encrypted = encrypt(&key(), b"secret", 1_700_000_000).unwrap();
        for encoding in Encoding::ALL {
            let (token, found) = Token::decode(&encrypted.encode(encoding)).unwrap();
            assert_eq!((&token, found), (&encrypted, encoding));
            assert_eq!(token.time(), 1_700_000_000);
            assert_eq!(decrypt(&key(), &token).unwrap().as_slice(), b"secret");
        }
    }

    #[test]
    fn the_time_of_a_token_is_no_reason_to_refuse_it() {
        for time in [0, u64::MAX - 61, u64::MAX - 60, u64::MAX] {
            let token = encrypt(&key(), b"x", time).unwrap();
            assert!(decrypt(&key(), &token).is_some(), "{time}");
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(at in 0usize..89, bit in 0u8..8) {
            let token = encrypt(&key(), b"sixteen bytes, and more", 1).unwrap();
            let mut bytes = URL_SAFE.decode(token.as_str()).unwrap();
            bytes[at] ^= 1 << bit;
            let altered = Token::parse(&URL_SAFE.encode(bytes));
            prop_assert!(altered.and_then(|token| decrypt(&key(), &token)).is_none());
        }
    }
}
