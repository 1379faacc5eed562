//! Fernet after its specification, <https://github.com/fernet/spec/blob/master/Spec.md>, and nothing else, to compare
//! with. As in Moat, a token is never too old or too new.

use aes::Aes128;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A signing key and an encryption key, 16 bytes each.
pub type Key = [u8; 32];

/// A token, before base64.
pub fn seal(key: &Key, time: u64, iv: &[u8; 16], plaintext: &[u8]) -> Vec<u8> {
    let mut body = vec![0x80];
    body.extend(time.to_be_bytes());
    body.extend(iv);
    let cipher = cbc::Encryptor::<Aes128>::new(key[16..].into(), iv.into());
    body.extend(cipher.encrypt_padded_vec_mut::<Pkcs7>(plaintext));
    sign(key, body)
}

/// Appends the HMAC to anything.
pub fn sign(key: &Key, mut body: Vec<u8>) -> Vec<u8> {
    let hmac = mac(key, &body).finalize().into_bytes();
    body.extend(hmac);
    body
}

/// The plaintext of a token, before base64; `None` for what is no token under this key.
pub fn open(key: &Key, token: &[u8]) -> Option<Vec<u8>> {
    let (body, hmac) = token.split_last_chunk::<32>()?;
    let (head, ciphertext) = body.split_first_chunk::<25>()?;
    if head[0] != 0x80 || ciphertext.len() % 16 != 0 {
        return None;
    }
    mac(key, body).verify(hmac.into()).ok()?;
    let cipher = cbc::Decryptor::<Aes128>::new(key[16..].into(), head[9..].into());
    let mut plaintext = cipher.decrypt_padded_vec_mut::<NoPadding>(ciphertext).ok()?;
    let padding = *plaintext.last()?;
    let length = plaintext.len().checked_sub(padding.into())?;
    let sound = (1..=16).contains(&padding) && plaintext[length..].iter().all(|b| *b == padding);
    plaintext.truncate(length);
    sound.then_some(plaintext)
}

/// The token in an `encrypted_data`, before base64: a token stands there in base64, or in base64 twice.
pub fn decode(encrypted_data: &[u8]) -> Option<Vec<u8>> {
    let once = URL_SAFE.decode(encrypted_data).ok()?;
    if once.first() == Some(&0x80) { Some(once) } else { URL_SAFE.decode(once).ok() }
}

fn mac(key: &Key, body: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(&key[..16]).expect("HMAC takes keys of every length").chain_update(body)
}
