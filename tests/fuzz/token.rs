//! Tokens are decrypted as the specification of Fernet says, whatever became of them: the same ones decrypt, to the same
//! plaintext, in both encodings. What the guest encrypts is what the specification encrypts.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use moat_format::token::{Encoding, Token};
use moat_guest_records::token::{decrypt, encrypt};
use support::fernet as spec;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    key: spec::Key,
    time: u64,
    iv: [u8; 16],
    form: Form,
    again: bool,
    changes: [Change; 2],
    content: &'a [u8],
}

/// What the content is.
#[derive(Arbitrary, Debug)]
enum Form {
    Plaintext,
    /// What the HMAC is of: anything else in a token may be wrong.
    Signed,
    Token,
    Text,
}

/// A byte of the text, and what it is XORed with.
#[derive(Arbitrary, Debug)]
struct Change {
    place: u16,
    mask: u8,
}

fuzz_target!(|input: Input| {
    let Input { key, time, iv, content, .. } = input;
    let guest_key = Fernet::new(&URL_SAFE.encode(key)).expect("every 32 bytes are a key");

    let token = match input.form {
        Form::Plaintext => Some(spec::seal(&key, time, &iv, content)),
        Form::Signed => Some(spec::sign(&key, content.to_vec())),
        Form::Token => Some(content.to_vec()),
        Form::Text => None,
    };
    let mut text = token.map_or_else(|| content.to_vec(), |token| URL_SAFE.encode(token).into());
    for Change { place, mask } in input.changes {
        if let Some(byte) = text.get_mut(usize::from(place)) {
            *byte ^= mask;
        }
    }
    if input.again {
        text = URL_SAFE.encode(text).into();
    }
    if let Ok(text) = str::from_utf8(&text) {
        let expected = spec::decode(text.as_bytes()).and_then(|token| spec::open(&key, &token));
        let decoded = Token::decode(text);
        let found = decoded.as_ref().and_then(|(token, _)| decrypt(&guest_key, token));
        assert_eq!(found.as_deref(), expected.as_ref());
        if let Some((token, encoding)) = decoded {
            assert_eq!(token.encode(encoding), text);
        }
    }

    let encrypted = encrypt(&guest_key, content, time).expect("it is a token");
    let text = encrypted.encode(Encoding::Documented);
    assert_eq!(encrypted.encode(Encoding::App), URL_SAFE.encode(&text));
    let token = spec::decode(text.as_bytes()).expect("it is a token");
    let iv = token[9..25].try_into().expect("it is an IV");
    assert_eq!(token, spec::seal(&key, time, iv, content));
});
