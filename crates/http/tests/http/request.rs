//! Requests to the service, without a socket.

use identsphere_http::{Body, ENDPOINTS, Head, Reply};
use serde_json::{Value, json};

use crate::world::World;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

impl World {
    /// Sends a request to whatever the table has for its path. An error that the table does not announce is a failure.
    pub(crate) async fn send(&self, request: Request) -> Reply {
        let mut head =
            Head::new(&request.method, &request.path, request.query.as_deref(), Some([192, 0, 2, 1].into()));
        request.fields.iter().for_each(|(name, value)| head.field(name, value.as_bytes()));
        let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.matches(&request.path)) else {
            return self.app.answer_unknown(&head).await;
        };
        let body = request.body.clone();
        let reply = self.app.answer(endpoint, &head, |_| async { Body::Complete(body.into()) }).await;
        let method = if request.method == "HEAD" { "GET" } else { &request.method };
        let route = endpoint.routes.iter().find(|route| route.method.name() == method);
        if let (Some(route), true) = (route, reply.status >= 400) {
            let announced = route.errors();
            let code = code(&reply);
            assert!(announced.iter().any(|known| known.code() == code), "{} answers {code}", route.operation);
        }
        reply
    }

    /// Signs somebody up who keeps cookies.
    pub(crate) async fn browser(&self, name: &str) -> Browser {
        let reply = self.send(Request::post("/v1/auth/register").json(&sign_up(name))).await;
        assert_eq!(reply.status, 201, "{}", text(&reply));
        Browser::from_reply(&reply)
    }

    /// Signs somebody up who keeps tokens: the answer.
    pub(crate) async fn bearer(&self, name: &str) -> Value {
        let mut body = sign_up(name);
        body["token_transport"] = json!("bearer");
        let reply = self.send(Request::post("/v1/auth/register").json(&body)).await;
        assert_eq!(reply.status, 201, "{}", text(&reply));
        read(&reply)
    }
}

/// The cookies of a session.
pub(crate) struct Browser {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) csrf: String,
}

impl Browser {
    pub(crate) fn from_reply(reply: &Reply) -> Self {
        let cookie = |name: &str| {
            let prefix = format!("identsphere_{name}=");
            let cookies = set_cookies(reply);
            let found = cookies.iter().find_map(|cookie| cookie.strip_prefix(&prefix)).unwrap();
            found.split(';').next().unwrap().to_owned()
        };
        Self { access: cookie("at"), refresh: cookie("rt"), csrf: cookie("csrf") }
    }

    /// The request with this browser's cookies, and with the CSRF header.
    pub(crate) fn sign(&self, request: Request) -> Request {
        self.attach(request).field("x-csrf-token", &self.csrf)
    }

    /// The request with this browser's cookies.
    pub(crate) fn attach(&self, request: Request) -> Request {
        let Self { access, refresh, csrf } = self;
        let cookie = format!("identsphere_at={access}; identsphere_rt={refresh}; identsphere_csrf={csrf}");
        request.field("cookie", &cookie)
    }
}

/// A request under construction.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self { method: method.to_owned(), path: path.to_owned(), query, fields: vec![], body: vec![] }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    pub(crate) fn delete(target: &str) -> Self {
        Self::new("DELETE", target)
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.field("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.field("content-type", "application/json")
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.field("content-type", content_type)
    }
}

pub(crate) fn sign_up(name: &str) -> Value {
    json!({
        "email": format!("{name}@example.com"), "password": PASSWORD,
        "organization_name": format!("{name} Inc."), "display_name": name,
    })
}

pub(crate) fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

pub(crate) fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// The code of an error.
pub(crate) fn code(reply: &Reply) -> String {
    read(reply)["error"]["code"].as_str().unwrap().to_owned()
}

/// The first field that an error names.
pub(crate) fn field(reply: &Reply) -> String {
    read(reply)["error"]["fields"][0]["field"].as_str().unwrap().to_owned()
}

pub(crate) fn set_cookies(reply: &Reply) -> Vec<String> {
    let values = reply.headers.iter().filter(|(name, _)| *name == "set-cookie");
    values.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap()).collect()
}
