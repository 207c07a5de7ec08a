//! The API document (OpenAPI 3.1), made from the route table.

use std::collections::BTreeMap;

use identsphere_core::StepUpRule;
use identsphere_kernel::ErrorCode;
use serde_json::{Map, Value, json};

use crate::config::HttpConfig;
use crate::cookies::CookieSettings;
use crate::failure::ErrorView;
use crate::routes::ENDPOINTS;
use crate::table::{AuthRule, BodyRule, CacheRule, Content, CsrfRule, Endpoint, RateClass, Route, Shape};

const ABOUT: &str = "Sign-up, sign-in and sessions for your applications.\n\n\
    Access tokens are JWTs that verify with the published key set and any JWT library. Browsers keep tokens in cookies; \
    every other client asks for `\"token_transport\": \"bearer\"` and sends `Authorization: Bearer`, which wins over a \
    cookie. A write that is authenticated by cookie repeats the CSRF cookie in `X-CSRF-Token`.\n\n\
    Every error has one envelope, and every answer an `X-Request-Id`, under which the log knows the request.";

/// The API document.
///
/// # Errors
/// A schema cannot be written as JSON.
pub fn document(config: &HttpConfig) -> Result<String, serde_json::Error> {
    written(config.base_url.as_str().trim_end_matches('/'), &config.cookies)
}

/// The API document of the service at `base`.
pub(crate) fn written(base: &str, cookies: &CookieSettings) -> Result<String, serde_json::Error> {
    let mut schemas = Schemas::default();
    let error = schemas.reference(&Shape::of::<ErrorView<'static>>())?;
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let mut item = Map::new();
        for route in endpoint.routes {
            let method = route.method.name().to_ascii_lowercase();
            item.insert(method, operation(endpoint, route, &error, &mut schemas)?);
        }
        paths.insert(endpoint.path.to_owned(), Value::Object(item));
    }
    let [access, ..] = cookies.names();
    let chapters = chapters().into_iter().map(|name| json!({ "name": name }));
    serde_json::to_string_pretty(&json!({
        "openapi": "3.1.0",
        "info": {
            "title": "IdentSphere",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": base }],
        "tags": chapters.collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.0,
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The access token.",
                },
                "cookie": {
                    "type": "apiKey", "in": "cookie", "name": access,
                    "description": "The access token, as a sign-in sets it.",
                },
            },
            "headers": {
                "RequestId": {
                    "description": "The id under which the log knows this request; the caller's own if it sent one.",
                    "schema": { "type": "string" },
                },
                "RetryAfter": {
                    "description": "Seconds to wait.",
                    "schema": { "type": "integer", "minimum": 1 },
                },
                "Allow": {
                    "description": "The methods that the path answers.",
                    "schema": { "type": "string" },
                },
                "WwwAuthenticate": {
                    "description": "The scheme to authenticate with.",
                    "schema": { "type": "string" },
                },
                "ETag": {
                    "description": "The entity tag, for `If-None-Match`.",
                    "schema": { "type": "string" },
                },
                "SetCookie": {
                    "description": "The cookies of the session, set or cleared. None for Bearer clients.",
                    "schema": { "type": "string" },
                },
            },
        },
    }))
}

/// The chapters, in the order of the table.
pub(crate) fn chapters() -> Vec<&'static str> {
    let mut chapters = Vec::new();
    for route in ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes) {
        if !chapters.contains(&route.chapter) {
            chapters.push(route.chapter);
        }
    }
    chapters
}

/// The schemas that the document refers to, by name.
#[derive(Default)]
struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A reference to the schema of a type; takes the schema, and those it refers to, into the document.
    fn reference(&mut self, shape: &Shape) -> Result<Value, serde_json::Error> {
        let name = (shape.name)();
        self.insert_parts(shape)?;
        self.0.insert(name.to_string(), serde_json::to_value((shape.schema)())?);
        Ok(json!({ "$ref": format!("#/components/schemas/{name}") }))
    }

    /// The schema of a body, which one operation uses: tools that make calls up look for its properties in place.
    fn inline(&mut self, shape: &Shape) -> Result<Value, serde_json::Error> {
        self.insert_parts(shape)?;
        let mut schema = serde_json::to_value((shape.schema)())?;
        if let Value::Object(members) = &mut schema {
            members.insert("title".to_owned(), json!((shape.name)()));
        }
        Ok(schema)
    }

    fn insert_parts(&mut self, shape: &Shape) -> Result<(), serde_json::Error> {
        let mut parts = Vec::new();
        (shape.parts)(&mut parts);
        for (name, schema) in parts {
            self.0.insert(name, serde_json::to_value(schema)?);
        }
        Ok(())
    }
}

fn operation(
    endpoint: &Endpoint,
    route: &Route,
    error: &Value,
    schemas: &mut Schemas,
) -> Result<Value, serde_json::Error> {
    let body = match route.body.expected() {
        Some((shape, _)) => json!({
            "required": !matches!(route.body, BodyRule::Optional(..)),
            "content": { media_type(route): { "schema": schemas.inline(shape)? } },
        }),
        None => Value::Null,
    };
    Ok(without_nulls(json!({
        "operationId": route.operation,
        "summary": route.summary,
        "description": description(route),
        "tags": [route.chapter],
        "security": security(route),
        "parameters": parameters(endpoint, route),
        "requestBody": body,
        "responses": responses(route, error, schemas)?,
    })))
}

/// What a body is.
fn media_type(route: &Route) -> &'static str {
    match route.body {
        BodyRule::None | BodyRule::Required(..) | BodyRule::Optional(..) => "application/json",
        BodyRule::Multipart(..) => "multipart/form-data",
    }
}

/// The object without the members that are null: in this format they are absent.
fn without_nulls(mut object: Value) -> Value {
    if let Value::Object(members) = &mut object {
        members.retain(|_, member| !member.is_null());
    }
    object
}

fn description(route: &Route) -> String {
    let limited = match route.rate {
        RateClass::Unlimited => "",
        RateClass::Register | RateClass::Login | RateClass::Mail => "Rate limited by address and by account.",
        RateClass::SecondFactor => "Rate limited by account, over every endpoint that takes a second factor.",
        RateClass::Passkey => "Rate limited, by account within a session and by address without one.",
        RateClass::Redeem => "Rate limited by address.",
        RateClass::Password | RateClass::Upload => "Rate limited by account.",
    };
    let stepped_up = match route.step_up {
        StepUpRule::Never => "",
        StepUpRule::IfEnrolled => "Users with a second factor must have shown it in this session lately.",
        StepUpRule::Shown => "A second factor must have been shown in this session.",
        StepUpRule::Always => "A second factor must have been shown in this session lately.",
    };
    let parts = [route.description, stepped_up, limited];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn security(route: &Route) -> Value {
    match route.auth {
        AuthRule::Public => json!([]),
        AuthRule::Optional => json!([{}, { "bearer": [] }, { "cookie": [] }]),
        AuthRule::User => json!([{ "bearer": [] }, { "cookie": [] }]),
    }
}

fn parameters(endpoint: &Endpoint, route: &Route) -> Vec<Value> {
    let in_path = endpoint.variables().map(|name| {
        json!({
            "name": name, "in": "path", "required": true,
            "schema": path_variable(name),
        })
    });
    let in_query = route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "required": false,
            "description": parameter.description,
            "schema": { "type": "string", "enum": parameter.values },
        })
    });
    let csrf = (route.csrf == CsrfRule::CookieWrite).then(|| {
        json!({
            "name": "X-CSRF-Token", "in": "header", "required": false,
            "description": "The value of the CSRF cookie. Due when the access token is in a cookie.",
            "schema": { "type": "string" },
        })
    });
    let cached = (route.cache == CacheRule::Public).then(|| {
        json!({
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "The entity tag of the answer that the client keeps.",
            "schema": { "type": "string" },
        })
    });
    in_path.chain(in_query).chain(csrf).chain(cached).collect()
}

/// What a varying segment looks like.
fn path_variable(name: &str) -> Value {
    match name {
        "name" => json!({ "type": "string", "pattern": r"^[0-9a-f]{32}\.(jpg|png)$" }),
        _ => json!({ "type": "string", "format": "uuid" }),
    }
}

fn responses(route: &Route, error: &Value, schemas: &mut Schemas) -> Result<Value, serde_json::Error> {
    let mut responses = Map::new();
    responses.insert(route.success.status.to_string(), success(route, schemas)?);
    if route.cache == CacheRule::Public {
        let not_modified =
            json!({ "description": "What the client keeps is current", "headers": headers(["ETag"]) });
        responses.insert("304".to_owned(), not_modified);
    }
    let mut codes: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in route.errors().into_iter().chain([ErrorCode::MethodNotAllowed]) {
        codes.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in codes {
        responses.insert(status.to_string(), refusal(status, &codes, error));
    }
    Ok(Value::Object(responses))
}

fn success(route: &Route, schemas: &mut Schemas) -> Result<Value, serde_json::Error> {
    let content = match &route.success.content {
        Content::Empty => Value::Null,
        Content::Object(shape) => json!({ "application/json": { "schema": schemas.reference(shape)? } }),
        Content::List(shape) => {
            let items = schemas.reference(shape)?;
            json!({ "application/json": { "schema": { "type": "array", "items": items } } })
        }
        Content::Document => json!({ "application/json": { "schema": { "type": "object" } } }),
        Content::Html => json!({ "text/html": { "schema": { "type": "string" } } }),
        Content::Picture => json!({ "image/jpeg": {}, "image/png": {} }),
    };
    let sets_cookies = route.csrf == CsrfRule::OriginOnly || route.auth == AuthRule::Optional;
    let cookies = sets_cookies.then_some("SetCookie");
    let cached = (route.cache == CacheRule::Public).then_some("ETag");
    Ok(without_nulls(json!({
        "description": route.success.description,
        "headers": headers(cookies.into_iter().chain(cached)),
        "content": content,
    })))
}

fn refusal(status: u16, codes: &[ErrorCode], error: &Value) -> Value {
    let lines: Vec<_> = codes.iter().map(|code| format!("`{}`: {}", code.code(), code.meaning())).collect();
    let specific = match status {
        401 => Some("WwwAuthenticate"),
        405 => Some("Allow"),
        429 | 503 => Some("RetryAfter"),
        _ => None,
    };
    json!({
        "description": lines.join("\n\n"),
        "headers": headers(specific),
        "content": { "application/json": { "schema": error } },
    })
}

/// These header fields, and the one that every answer has.
fn headers<'a>(components: impl IntoIterator<Item = &'a str>) -> Value {
    let named = components.into_iter().chain(["RequestId"]).map(|component| {
        let name = match component {
            "RequestId" => "X-Request-Id",
            "RetryAfter" => "Retry-After",
            "WwwAuthenticate" => "WWW-Authenticate",
            "SetCookie" => "Set-Cookie",
            other => other,
        };
        (name.to_owned(), json!({ "$ref": format!("#/components/headers/{component}") }))
    });
    Value::Object(named.collect())
}
