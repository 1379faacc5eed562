//! Authorization for a plugin's HTTP requests: the host adds it on the way out, for the one origin that it is for. The
//! plugin sees neither the secret nor the header, and a request to anywhere else, after a redirect too, goes without.
//! A service that repeats the headers of a request in its answer gives the secret away all the same.
//!
//! With `wasmtime-wasi-http` its place is `send_request`; `host/examples/plugins` shows it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST};
use http::uri::{Authority, Scheme, Uri};
use http::{HeaderValue, Method, Request};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::contract::{Credential, ErrorCode};
use crate::error::Error;
use crate::ops::PASSWORD;
use crate::scope::Scope;
use moat_format::user_id::UserId;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 255;

/// The methods that hand a request's headers to others, as Fetch forbids them: a server answers TRACE with the whole
/// request (RFC 9110, section 9.3.8), some TRACK too, and CONNECT is for a proxy.
const FORBIDDEN_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// Where a credential may be sent: scheme, host and port, as RFC 6454 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// `https://example.com`, or with a port from 1 to 65535. Unencrypted, just a host of this machine:
    /// `http://127.0.0.1:8080`, `http://[::1]` or `http://localhost`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidCredential`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| {
            let message = format!("{text:?} can't be an origin: {why}");
            Err(Error::new(ErrorCode::InvalidCredential, message))
        };
        let Ok(uri) = text.parse::<Uri>() else { return refuse("it is not a URI") };
        let has_more = uri.path_and_query().is_some_and(|path| path.as_str() != "/");
        match Self::of(uri.scheme(), uri.authority()) {
            None => refuse("it is not https:// or http:// with a host, or a host and a port"),
            Some(_) if has_more => refuse("it has more than a scheme, a host and a port"),
            Some(origin) if !origin.is_secure && !origin.is_loopback() => {
                refuse("unencrypted, only this machine itself may be sent a credential")
            }
            Some(origin) => Ok(origin),
        }
    }

    /// The origin of a request. `None`: it has none, or one that two readers could take for different ones.
    fn of(scheme: Option<&Scheme>, authority: Option<&Authority>) -> Option<Self> {
        let (is_secure, default_port) = match scheme?.as_str() {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let host = authority?.host();
        // Brackets are around an address, and one without a zone, which would mean something on this machine only.
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = (1..=LONGEST_HOST).contains(&host.len())
            && in_brackets.is_none_or(|address| address.parse::<Ipv6Addr>().is_ok());
        // Not by `Authority::port`, which passes over a port that is no number.
        let port = match authority?.as_str().strip_prefix(host)? {
            "" => default_port,
            port => port.strip_prefix(':').and_then(parse_port)?,
        };
        is_host.then(|| Self { is_secure, host: host.to_ascii_lowercase(), port })
    }

    /// Whether a request goes there, by its URI and by the host that it names to the server.
    fn is_of<B>(&self, request: &Request<B>) -> bool {
        let is_it = |authority: Option<&Authority>| {
            Self::of(request.uri().scheme(), authority).as_ref() == Some(self)
        };
        let names_it =
            |host: &HeaderValue| is_it(Authority::try_from(host.as_bytes()).ok().as_ref());
        is_it(request.uri().authority()) && request.headers().get_all(HOST).iter().all(names_it)
    }

    fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
            || host.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback())
    }
}

/// A port from 1 to 65535.
fn parse_port(text: &str) -> Option<u16> {
    // A number for Rust may have a sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
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
    /// `None`: any that isn't forbidden.
    methods: Option<Vec<Method>>,
    /// `None`: any path.
    path_prefix: Option<String>,
}

impl Authorization {
    /// Uses what is in scope by [`crate::Operation::Apply`]; each request counts as a use.
    pub fn new(scope: Scope, user: UserId, origin: Origin, scheme: AuthorizationScheme) -> Self {
        Self { scope, user, origin, scheme, methods: None, path_prefix: None }
    }

    /// Only for requests with one of these methods.
    #[must_use]
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        Self { methods: Some(methods.into_iter().collect()), ..self }
    }

    /// Only for requests to a path below this one, such as `/v1/`, by whole segments as with a cookie (RFC 6265,
    /// section 5.1.4): `/v1` takes in `/v1` itself and `/v1/a`, but not `/v10`.
    ///
    /// Paths are compared as they are sent. One that a server might take for another is below no prefix: with `.` or
    /// `..` as a segment, an empty segment, a `;` or a backslash, all these in percent-encoding too, or with an encoded
    /// slash or percent sign.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidCredential`] when the prefix is such a path itself, or doesn't begin with a slash.
    pub fn path_prefix(self, prefix: &str) -> Result<Self, Error> {
        if !is_unambiguous(prefix) {
            let message = format!("{prefix:?} can't be the beginning of paths");
            return Err(Error::new(ErrorCode::InvalidCredential, message));
        }
        Ok(Self { path_prefix: Some(prefix.to_owned()), ..self })
    }

    /// Where it is sent.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Adds the header to a request to the origin, replacing any existing one, and returns whether it did. Every other
    /// request is left as it is, also one to the origin with another method or path than this is for: the service may
    /// answer that without knowing who asks. The header's value is marked as sensitive; it is the HTTP library's own copy,
    /// which isn't wiped.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Denied`] for a TRACE, TRACK or CONNECT request to the origin, in upper or lower case: it must not be
    /// sent at all, since its answer could show the header to the plugin. [`ErrorCode::InvalidCredential`] when the
    /// credential can't be encoded in this scheme.
    pub fn apply<B>(&self, request: &mut Request<B>) -> Result<bool, Error> {
        if !self.origin.is_of(request) {
            return Ok(false);
        }
        let purpose = self.origin.to_string();
        let method = request.method().as_str();
        let mut forbidden = FORBIDDEN_METHODS.iter();
        if let Some(method) = forbidden.find(|forbidden| method.eq_ignore_ascii_case(forbidden)) {
            let why = format!("the answer to {method} can show the header");
            return self.scope.refuse_apply(&self.user, &purpose, &why);
        }
        if !self.is_for(request.method(), request.uri().path()) {
            return Ok(false);
        }
        let secret = match &self.scheme {
            AuthorizationScheme::Basic => PASSWORD,
            AuthorizationScheme::Bearer(secret) => secret,
        };
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

    /// Whether it is for requests with this method and path.
    fn is_for(&self, method: &Method, path: &str) -> bool {
        let is_below = |prefix: &String| {
            let rest = path.strip_prefix(prefix.as_str());
            let is_whole =
                |rest: &str| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/');
            rest.is_some_and(is_whole) && is_unambiguous(path)
        };
        self.methods.as_ref().is_none_or(|methods| methods.contains(method))
            && self.path_prefix.as_ref().is_none_or(is_below)
    }
}

/// Whether a path is one that no server takes for another, whatever it decodes, drops or resolves.
fn is_unambiguous(path: &str) -> bool {
    let Ok(decoded) = percent_decode_str(path).decode_utf8() else { return false };
    let is_rewritten = |c: char| c.is_control() || matches!(c, '\\' | ';' | '%');
    // What is left of a segment where dots and blanks at its ends don't count.
    let is_name = |segment: &str| !segment.trim_matches(['.', ' ']).is_empty();
    let has_names = |names: &str| {
        let names = names.strip_suffix('/').unwrap_or(names);
        names.split('/').all(is_name)
    };
    decoded.matches('/').count() == path.matches('/').count()
        && !decoded.contains(is_rewritten)
        && (decoded == "/" || decoded.strip_prefix('/').is_some_and(has_names))
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
        let message = "the secret is not a bearer token as RFC 6750 defines it";
        return Err(Error::new(ErrorCode::InvalidCredential, message));
    }
    Ok(Zeroizing::new(["Bearer ", token].concat()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;

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
            ("https://[fe80::1]:65535", "https://[fe80::1]:65535"),
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
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:+443",
            "https://example.com:65536",
            "https://example.com:99999",
            "https://example.com:443:443",
            "https://[fe80::1%25eth0]",
            "https://[fe80::1%eth0]:443",
            "https://[v1.fe80]",
            "https://[]",
        ] {
            let error = Origin::parse(text).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidCredential, "{text}");
        }
    }

    fn request(uri: &str) -> Request<()> {
        Request::builder().uri(uri).header(AUTHORIZATION, "Bearer forged").body(()).unwrap()
    }

    /// A vault with these users, each with a password and a token.
    fn vault_of(users: &[&UserId]) -> (Vault, tempfile::TempDir) {
        let path = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).unwrap();
        let keys = KeyRing::new(MasterKey::new(b"sixteen bytes at least"));
        let vault = Vault::builder(Directory::new(dir).unwrap(), keys).build().unwrap();
        for user in users {
            let secret = Credential::new(user.as_str(), "p\u{e4}ss:word")
                .with_field(Field::new("token", "abc-._~+/09=="));
            vault.put(user, &secret, &PutOptions::default()).unwrap();
        }
        (vault, path)
    }

    /// An authorization of anna's for `https://api.example.com`, by her token.
    fn annas() -> (Authorization, tempfile::TempDir) {
        let anna = UserId::parse("anna").unwrap();
        let (vault, path) = vault_of(&[&anna]);
        let scope = vault.scope("plugin", [anna.clone()], [Operation::Apply]);
        let origin = Origin::parse("https://api.example.com").unwrap();
        let scheme = AuthorizationScheme::Bearer("token".to_owned());
        (Authorization::new(scope, anna, origin, scheme), path)
    }

    /// What becomes of a request: whether it goes with the header, or else the code of the error.
    fn sent(
        authorization: &Authorization,
        method: &str,
        uri: &str,
        host: Option<&str>,
    ) -> Result<bool, ErrorCode> {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let mut request = request.body(()).unwrap();
        let applied = authorization.apply(&mut request).map_err(|error| error.code());
        assert_eq!(request.headers().contains_key(AUTHORIZATION), applied == Ok(true));
        applied
    }

    #[test]
    fn no_request_that_is_echoed_gets_the_header() {
        let (authorization, _path) = annas();
        let all = ["TRACE", "trace", "Trace", "TRACK", "track", "CONNECT", "connect"];
        let named = all.map(|method| Method::from_bytes(method.as_bytes()).unwrap());
        for authorization in [authorization.clone(), authorization.methods(named)] {
            for method in all {
                let origin = sent(&authorization, method, "https://api.example.com/a", None);
                assert_eq!(origin, Err(ErrorCode::Denied), "{method}");
                let elsewhere = sent(&authorization, method, "https://evil.example/a", None);
                assert_eq!(elsewhere, Ok(false), "{method}");
            }
        }
    }

    #[test]
    fn other_methods_than_the_named_ones_go_without() {
        let (authorization, _path) = annas();
        let authorization = authorization.methods([Method::GET, Method::HEAD]);
        for (method, expected) in
            [("GET", true), ("HEAD", true), ("POST", false), ("DELETE", false), ("get", false)]
        {
            let applied = sent(&authorization, method, "https://api.example.com/", None);
            assert_eq!(applied, Ok(expected), "{method}");
        }
    }

    #[test]
    fn another_port_or_host_than_the_origins_goes_without() {
        let (authorization, _path) = annas();
        let uri = "https://api.example.com/";
        assert_eq!(sent(&authorization, "GET", uri, Some("api.example.com")), Ok(true));
        assert_eq!(sent(&authorization, "GET", uri, Some("API.example.com:443")), Ok(true));
        for host in ["evil.example", "api.example.com:8443", "", "a@api.example.com", "a b"] {
            assert_eq!(sent(&authorization, "GET", uri, Some(host)), Ok(false), "{host}");
        }
        for port in ["99999", "0", "+443", ""] {
            let uri = format!("https://api.example.com:{port}/");
            assert_eq!(sent(&authorization, "GET", &uri, None), Ok(false), "{port}");
        }
    }

    #[test]
    fn a_path_is_below_a_prefix_by_whole_segments() {
        let (authorization, _path) = annas();
        let below = |prefix: &str, path: &str| {
            let authorization = authorization.clone().path_prefix(prefix).unwrap();
            let uri = format!("https://api.example.com{path}");
            sent(&authorization, "GET", &uri, None).unwrap()
        };
        for (prefix, path) in [
            ("/", ""),
            ("/", "/"),
            ("/", "/a"),
            ("/v1", "/v1"),
            ("/v1", "/v1/"),
            ("/v1", "/v1?../admin"),
            ("/v1/", "/v1/a.b/..c?x=/../"),
            ("/v1/", "/v1/a%20b/Zo%C3%AB%2etxt"),
        ] {
            assert!(below(prefix, path), "{prefix} {path}");
        }
        for (prefix, path) in [
            ("/v1", "/v10"),
            ("/v1/", "/v1"),
            ("/v1/", "/V1/a"),
            ("/v1/", "/%76%31/a"),
            ("/v1/", "//v1/a"),
            ("/v1/", "/v1//a"),
            ("/v1/", "/v1/../admin"),
            ("/v1/", "/v1/./a"),
            ("/v1/", "/v1/.."),
            ("/v1/", "/v1/%2e%2E/admin"),
            ("/v1/", "/v1/.%2e/admin"),
            ("/v1/", "/v1/%252e%252e/admin"),
            ("/v1/", "/v1/%c0%ae%c0%ae/admin"),
            ("/v1/", "/v1/..%2fadmin"),
            ("/v1/", "/v1/..%5Cadmin"),
            ("/v1/", "/v1/..\\admin"),
            ("/v1/", "/v1/..;/admin"),
            ("/v1/", "/v1/..;x=1/admin"),
            ("/v1/", "/v1/..%3b/admin"),
            ("/v1/", "/v1/..%00/admin"),
            ("/v1/", "/v1/..%20/admin"),
            ("/v1/", "/v1/%2/admin"),
            ("/", "//"),
        ] {
            assert!(!below(prefix, path), "{prefix} {path}");
        }
        for prefix in ["", "v1", "//", "/v1//", "/v1/../", "/v1/%2e%2e", "/a;b", "/a%2fb", "/%zz"] {
            let error = authorization.clone().path_prefix(prefix).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidCredential, "{prefix}");
        }
    }

    /// What the most lenient server makes of a path: it decodes twice, takes backslashes for slashes, drops parameters
    /// and what is empty, and resolves dots.
    fn resolved(path: &str) -> Vec<String> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut names = Vec::new();
        for segment in decode(&decode(path)).replace('\\', "/").split('/') {
            match segment.split(';').next().unwrap().trim_end() {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name.to_owned()),
            }
        }
        names
    }

    fn one_of(all: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
        proptest::sample::select(all)
    }

    #[test]
    fn no_request_outside_of_the_grant_gets_the_header() {
        const METHODS: &[&str] =
            &["GET", "GET", "GET", "POST", "get", "DELETE", "TRACE", "trace", "TRACK", "CONNECT"];
        const SCHEMES: &[&str] = &["https", "https", "https", "HTTPS", "http", "ws"];
        const HOSTS: &[&str] = &[
            "api.example.com",
            "api.example.com",
            "API.Example.Com",
            "api.example.com.",
            "api.example.com.evil.example",
            "a@api.example.com",
            "api.example.com@evil.example",
            "[::1]",
        ];
        const PORTS: &[&str] = &["", "", "", ":443", ":", ":0", ":8443", ":65979", ":99999", ":x"];
        const PARTS: &[&str] = &[
            "/v1/", "/v1/", "v1", "/", "/", ".", "..", "%2e", "%2E", "%252e", "%2f", "%5c", "\\",
            ";", "%3b", "%20", "admin", "a", "V1", "0", "?", "%76", "%c0%ae", "%",
        ];
        let (authorization, _path) = annas();
        let authorization =
            authorization.methods([Method::GET, Method::TRACE]).path_prefix("/v1/").unwrap();
        let paths = proptest::collection::vec(one_of(PARTS), 0..8);
        let requests = (one_of(METHODS), one_of(SCHEMES), one_of(HOSTS), one_of(PORTS), paths);
        let mut applied = 0;
        let mut runner = TestRunner::deterministic();
        for _ in 0..20_000 {
            let tree = requests.new_tree(&mut runner).unwrap();
            let (method, scheme, host, port, path) = tree.current();
            let path = ["/v1/", &path.concat()].concat();
            let uri = format!("{scheme}://{host}{port}{path}");
            let Ok(request) = Request::builder().method(method).uri(&uri).body(()) else {
                continue;
            };
            let path = request.uri().path().to_owned();
            if sent(&authorization, method, &uri, None) == Ok(true) {
                applied += 1;
                assert_eq!(method, "GET", "{uri}");
                assert!(scheme.eq_ignore_ascii_case("https"), "{uri}");
                assert!(host.eq_ignore_ascii_case("api.example.com"), "{uri}");
                assert!(["", ":443"].contains(&port), "{uri}");
                assert!(resolved(&path).starts_with(&["v1".to_owned()]), "{uri}");
            }
        }
        assert!(applied > 50, "{applied}");
    }

    #[test]
    fn only_the_origin_gets_the_header() {
        let [anna, bob] = ["anna", "b:ob"].map(|user| UserId::parse(user).unwrap());
        let (vault, _path) = vault_of(&[&anna, &bob]);
        let scope = vault.scope("plugin", [anna.clone(), bob.clone()], [Operation::Apply]);
        let origin = Origin::parse("https://api.example.com").unwrap();
        let authorization = |user: &UserId, scheme| {
            Authorization::new(scope.clone(), user.clone(), origin.clone(), scheme)
        };
        let bearer = || AuthorizationScheme::Bearer("token".to_owned());
        for (scheme, expected) in [
            // As RFC 7617 encodes a password with a colon, in UTF-8.
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
        // A request that is refused for its method takes no use.
        let once = Authorization::new(scope.uses(1), anna.clone(), origin.clone(), bearer());
        let mut trace = request("https://api.example.com/");
        *trace.method_mut() = Method::TRACE;
        for _ in 0..2 {
            let error = once.apply(&mut trace).unwrap_err();
            assert!(error.to_string().contains("the answer to TRACE"), "{error}");
        }
        assert!(once.apply(&mut request("https://api.example.com/")).unwrap());
        let spent = Authorization::new(scope.uses(0), anna, origin, bearer());
        let error = spent.apply(&mut request("https://api.example.com/")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Denied);
    }
}
