//! Authorization for a plugin's HTTP requests: the host adds it on the way out, for the one origin that it is for. The
//! plugin sees neither the secret nor the header, and a request to anywhere else, after a redirect too, goes without.
//!
//! With `wasmtime-wasi-http` its place is `send_request`; `host/examples/plugins` shows it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::uri::Uri;
use http::{HeaderValue, Request};
use zeroize::Zeroizing;

use crate::contract::{Credential, ErrorCode};
use crate::error::Error;
use crate::scope::{PASSWORD, Scope};
use crate::user_id::UserId;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 255;

/// Where a credential may be sent: scheme, host and port, as RFC 6454 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// `https://example.com`, or with a port. Unencrypted, just a host of this machine: `http://127.0.0.1:8080`,
    /// `http://[::1]` or `http://localhost`. Fails with [`ErrorCode::InvalidCredential`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| {
            let message = format!("{text:?} can't be an origin: {why}");
            Err(Error::new(ErrorCode::InvalidCredential, message))
        };
        let Ok(uri) = text.parse::<Uri>() else { return refuse("it is no URI") };
        let has_more = uri.path_and_query().is_some_and(|path| path.as_str() != "/")
            || uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        match Self::of(&uri) {
            None => refuse("it is not https:// or http:// with a host"),
            Some(_) if has_more => refuse("it has more than a scheme, a host and a port"),
            Some(origin) if !origin.is_secure && !origin.is_loopback() => {
                refuse("unencrypted, only this machine itself may be sent a credential")
            }
            Some(origin) => Ok(origin),
        }
    }

    fn of(uri: &Uri) -> Option<Self> {
        let is_secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host().filter(|host| (1..=LONGEST_HOST).contains(&host.len()))?;
        let host = host.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        Some(Self { is_secure, host, port })
    }

    fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
            || host.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// How a credential goes into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorizationScheme {
    /// User name and password (RFC 7617).
    Basic,
    /// The secret of this name, `password` or a field's, as a token (RFC 6750).
    Bearer(String),
}

/// A user's credential, to be sent to one origin.
#[derive(Clone, Debug)]
pub struct Authorization {
    scope: Scope,
    user: UserId,
    origin: Origin,
    scheme: AuthorizationScheme,
}

impl Authorization {
    /// Uses what is in scope by [`crate::Operation::Apply`]; each request counts as a use.
    pub fn new(scope: Scope, user: UserId, origin: Origin, scheme: AuthorizationScheme) -> Self {
        Self { scope, user, origin, scheme }
    }

    /// Where it is sent.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Adds the header to a request to the origin, in place of any that is there, and tells whether it did. Every other
    /// request is left as it is.
    ///
    /// Fails with [`ErrorCode::InvalidCredential`] when the credential can't be spelled in this scheme. The header's
    /// value is marked as sensitive; it is the HTTP library's own copy, which isn't wiped.
    pub fn apply<B>(&self, request: &mut Request<B>) -> Result<bool, Error> {
        if Origin::of(request.uri()).as_ref() != Some(&self.origin) {
            return Ok(false);
        }
        let secret = match &self.scheme {
            AuthorizationScheme::Basic => PASSWORD,
            AuthorizationScheme::Bearer(secret) => secret,
        };
        let purpose = self.origin.to_string();
        let value =
            self.scope.apply(&self.user, secret, &purpose, |credential, secret| {
                match self.scheme {
                    AuthorizationScheme::Basic => basic(credential),
                    AuthorizationScheme::Bearer(_) => bearer(secret),
                }
            })?;
        let mut value = HeaderValue::from_str(&value).map_err(|error| {
            Error::caused(ErrorCode::InvalidCredential, "the secret can't be in a header", error)
        })?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(true)
    }
}

fn basic(credential: &Credential) -> Result<Zeroizing<String>, Error> {
    let (name, password) = (credential.username(), credential.expose_password());
    if name.contains(':') || name.chars().chain(password.chars()).any(char::is_control) {
        let message = "a user name with a colon, or a control character, can't be in a header";
        return Err(Error::new(ErrorCode::InvalidCredential, message));
    }
    let plain = Zeroizing::new([name, ":", password].concat());
    let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
    Ok(Zeroizing::new(["Basic ", &encoded].concat()))
}

fn bearer(token: &str) -> Result<Zeroizing<String>, Error> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if token.is_empty() || !token.chars().all(is_token) {
        let message = "the secret is no bearer token as RFC 6750 has it";
        return Err(Error::new(ErrorCode::InvalidCredential, message));
    }
    Ok(Zeroizing::new(["Bearer ", token].concat()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;

    use super::*;
    use crate::{Directory, Field, KeyRing, MasterKey, Operation, PutOptions, Vault};

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for (text, shown) in [
            ("https://example.com", "https://example.com:443"),
            ("https://Example.COM:8443/", "https://example.com:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://localhost:1", "http://localhost:1"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "example.com",
            "ftp://example.com",
            "http://example.com",
            "http://127.0.0.1.example.com",
            "https://example.com/path",
            "https://example.com?q",
            "https://anna@example.com",
            "https://",
            &format!("https://{}", "a.".repeat(200)),
        ] {
            let error = Origin::parse(text).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidCredential, "{text}");
        }
    }

    fn request(uri: &str) -> Request<()> {
        Request::builder().uri(uri).header(AUTHORIZATION, "Bearer forged").body(()).unwrap()
    }

    #[test]
    fn only_the_origin_gets_the_header() {
        let path = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).unwrap();
        let keys = KeyRing::new(MasterKey::new(b"sixteen bytes at least"));
        let vault = Vault::builder(Directory::new(dir).unwrap(), keys).build().unwrap();
        let [anna, bob] = ["anna", "b:ob"].map(|user| UserId::parse(user).unwrap());
        let secret = |name: &str| {
            Credential::new(name, "p\u{e4}ss:word").with_field(Field::new("token", "abc-._~+/09=="))
        };
        vault.put(&anna, &secret("anna"), &PutOptions::default()).unwrap();
        vault.put(&bob, &secret("b:ob"), &PutOptions::default()).unwrap();
        let scope = vault.scope("plugin", [anna.clone(), bob.clone()], [Operation::Apply]);
        let origin = Origin::parse("https://api.example.com").unwrap();
        let authorization = |user: &UserId, scheme| {
            Authorization::new(scope.clone(), user.clone(), origin.clone(), scheme)
        };
        let bearer = || AuthorizationScheme::Bearer("token".to_owned());
        for (scheme, expected) in [
            // As RFC 7617 spells a password with a colon, in UTF-8.
            (AuthorizationScheme::Basic, "Basic YW5uYTpww6Rzczp3b3Jk"),
            (bearer(), "Bearer abc-._~+/09=="),
        ] {
            let authorization = authorization(&anna, scheme);
            for uri in ["https://api.example.com/a?b", "https://API.example.com:443/"] {
                let mut request = request(uri);
                assert!(authorization.apply(&mut request).unwrap());
                let header = request.headers().get(AUTHORIZATION).unwrap();
                assert_eq!(header, expected);
                assert!(header.is_sensitive());
            }
            for uri in [
                "http://api.example.com/",
                "https://api.example.com:8443/",
                "https://api.example.com.evil.example/",
                "https://evil.example/https://api.example.com/",
                "https://api.example.com@evil.example/",
                "/",
            ] {
                let mut request = request(uri);
                assert!(!authorization.apply(&mut request).unwrap(), "{uri}");
                assert_eq!(request.headers().get(AUTHORIZATION).unwrap(), "Bearer forged");
            }
        }
        for (user, scheme, code) in [
            (&bob, AuthorizationScheme::Basic, ErrorCode::InvalidCredential),
            (
                &anna,
                AuthorizationScheme::Bearer("password".to_owned()),
                ErrorCode::InvalidCredential,
            ),
            (&anna, AuthorizationScheme::Bearer("none".to_owned()), ErrorCode::NotFound),
        ] {
            let mut request = request("https://api.example.com/");
            let error = authorization(user, scheme).apply(&mut request).unwrap_err();
            assert_eq!(error.code(), code);
            assert!(!error.to_string().contains("word"), "{error}");
        }
        let spent = Authorization::new(scope.uses(0), anna, origin, bearer());
        let error = spent.apply(&mut request("https://api.example.com/")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Denied);
    }
}
