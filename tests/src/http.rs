//! A small HTTP client that keeps cookies as a browser would, and shows everything about an answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `Null` when there is none.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("header values are text"))
    }

    /// `error.code`, after checking that the whole envelope is as the contract has it.
    pub fn code(&self) -> String {
        let body = self.json();
        let error = &body["error"];
        for member in ["code", "message", "type", "request_id"] {
            assert!(error[member].is_string(), "error.{member} is missing in {} {body}", self.status);
        }
        assert_eq!(
            error["request_id"].as_str(),
            self.header("x-request-id"),
            "the envelope names the request"
        );
        assert!(self.header("content-type").is_some_and(|t| t.starts_with("application/json")));
        error["code"].as_str().unwrap().to_owned()
    }

    /// Checks for an error with this status and code.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// Checks the status.
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// `Set-Cookie` lines by cookie name: value and attributes in lower case.
    pub fn cookies(&self) -> BTreeMap<String, SetCookie> {
        let lines = self.headers.get_all(SET_COOKIE).iter();
        lines.map(|line| SetCookie::parse(line.to_str().unwrap())).map(|c| (c.name.clone(), c)).collect()
    }
}

/// One `Set-Cookie` line.
#[derive(Debug, Clone)]
pub struct SetCookie {
    pub name: String,
    pub value: String,
    pub attributes: BTreeMap<String, String>,
}

impl SetCookie {
    fn parse(line: &str) -> Self {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attribute = |part: &str| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (key.to_ascii_lowercase(), value.to_ascii_lowercase())
        };
        Self { name: name.to_owned(), value: value.to_owned(), attributes: parts.map(attribute).collect() }
    }

    pub fn max_age(&self) -> i64 {
        self.attributes["max-age"].parse().unwrap()
    }
}

/// A caller of one server, with the cookies it has been given.
#[derive(Debug, Clone)]
pub struct Caller {
    http: reqwest::Client,
    address: SocketAddr,
    /// Name to value and path.
    pub cookies: BTreeMap<String, (String, String)>,
}

impl Caller {
    pub fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { http, address, cookies: BTreeMap::new() }
    }

    /// The same person at another server.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> Request<'_> {
        let url = format!("http://{}{path}", self.address);
        Request {
            caller: self,
            path: path.to_owned(),
            builder: self.http.request(method, url),
            with_cookies: true,
        }
    }

    pub fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Request<'_> {
        self.request(Method::POST, path)
    }

    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request(Method::DELETE, path)
    }

    /// Sends, then keeps the cookies of the answer.
    pub async fn follow(&mut self, send: impl FnOnce(&Self) -> Request<'_>) -> Answer {
        let answer = send(self).send().await;
        self.keep(&answer);
        answer
    }

    /// Keeps the cookies of an answer.
    pub fn keep(&mut self, answer: &Answer) {
        for (name, cookie) in answer.cookies() {
            if cookie.max_age() <= 0 {
                self.cookies.remove(&name);
            } else {
                self.cookies.insert(name, (cookie.value, cookie.attributes["path"].clone()));
            }
        }
    }

    /// The value of a cookie that is held.
    pub fn cookie(&self, name: &str) -> &str {
        &self.cookies.get(name).unwrap_or_else(|| panic!("no cookie {name}: {:?}", self.cookies.keys())).0
    }

    /// The CSRF cookie's value.
    pub fn csrf(&self) -> &str {
        self.cookie("identsphere_csrf")
    }
}

/// A request in the making.
#[must_use]
pub struct Request<'a> {
    caller: &'a Caller,
    path: String,
    builder: reqwest::RequestBuilder,
    with_cookies: bool,
}

impl Request<'_> {
    pub fn json(mut self, body: &Value) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    pub fn body(mut self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.header("content-type", content_type).body(body);
        self
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        self.header_bytes(name, value.as_bytes())
    }

    pub fn header_bytes(mut self, name: &str, value: &[u8]) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.builder = self.builder.header(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With the CSRF header that belongs to the caller's cookie.
    pub fn csrf(self) -> Self {
        let token = self.caller.csrf().to_owned();
        self.header("x-csrf-token", &token)
    }

    /// Without the caller's cookies.
    pub fn anonymous(mut self) -> Self {
        self.with_cookies = false;
        self
    }

    pub async fn send(self) -> Answer {
        let matching =
            self.caller.cookies.iter().filter(|(_, (_, path))| self.path.starts_with(path.as_str()));
        let line: Vec<String> = matching.map(|(name, (value, _))| format!("{name}={value}")).collect();
        let builder = match self.with_cookies && !line.is_empty() {
            true => self.builder.header("cookie", line.join("; ")),
            false => self.builder,
        };
        let response = builder.send().await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.expect("the answer is complete").to_vec() }
    }
}
