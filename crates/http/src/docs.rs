//! The documentation page, made from the route table: one file, no scripts, nothing from another host.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identsphere_kernel::ErrorCode;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cookies::CookieSettings;
use crate::openapi::chapters;
use crate::routes::ENDPOINTS;
use crate::table::{AuthRule, BodyRule, CsrfRule, Endpoint, Method, RateClass, Route, Shape};

const STYLE: &str = include_str!("docs.css");

/// The page, and the policy under which browsers show it.
pub(crate) struct Page {
    pub(crate) html: String,
    pub(crate) content_security_policy: String,
}

/// Makes the page of the service at `base`.
pub(crate) fn page(base: &str, cookies: &CookieSettings) -> Page {
    let mut html = String::with_capacity(32 * 1_024);
    // Writing to a string cannot fail.
    let _ = write_page(&mut html, base, cookies);
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let content_security_policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    Page { html, content_security_policy }
}

fn write_page(html: &mut String, base: &str, cookies: &CookieSettings) -> fmt::Result {
    write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>IdentSphere API</title><style>{STYLE}</style></head><body><div class=\"page\">"
    )?;
    write_navigation(html)?;
    write!(
        html,
        "<main><h1>IdentSphere API</h1><p class=\"lead\">Sign-up, sign-in and sessions over HTTP and JSON at \
         <code>{}</code>. The same as a machine reads it: <a href=\"/openapi.json\">openapi.json</a>.</p>",
        Escaped(base)
    )?;
    write_credentials(html, cookies)?;
    for chapter in chapters() {
        write!(html, "<h2>{}</h2>", Escaped(chapter))?;
        for (endpoint, route) in routes_of(chapter) {
            write_route(html, endpoint, route, base)?;
        }
    }
    write_errors(html)?;
    html.push_str("</main></div></body></html>\n");
    Ok(())
}

fn routes_of(chapter: &str) -> impl Iterator<Item = (&'static Endpoint, &'static Route)> {
    let routes =
        ENDPOINTS.iter().flat_map(|endpoint| endpoint.routes.iter().map(move |route| (endpoint, route)));
    routes.filter(move |(_, route)| route.chapter == chapter)
}

fn write_navigation(html: &mut String) -> fmt::Result {
    html.push_str("<nav aria-label=\"Contents\"><a class=\"brand\" href=\"#credentials\">IdentSphere</a>");
    for chapter in chapters() {
        write!(html, "<h2>{}</h2><ul>", Escaped(chapter))?;
        for (_, route) in routes_of(chapter) {
            write!(html, "<li><a href=\"#{}\">{}</a></li>", route.operation, Escaped(route.summary))?;
        }
        html.push_str("</ul>");
    }
    html.push_str("<h2>Reference</h2><ul><li><a href=\"#errors\">Errors</a></li></ul></nav>");
    Ok(())
}

fn write_credentials(html: &mut String, cookies: &CookieSettings) -> fmt::Result {
    let [access, refresh, csrf] = cookies.names().map(Escaped);
    write!(
        html,
        "<h2 id=\"credentials\">Credentials</h2>\
         <p>A sign-in answers with an access token, a JWT that any JWT library verifies with the \
         <a href=\"/.well-known/jwks.json\">published keys</a>, and a refresh token that is exchanged for the next pair.</p>\
         <div class=\"scroll\"><table><thead><tr><th>Client</th><th>Sends</th><th>Writes also need</th></tr></thead><tbody>\
         <tr><td>Browser</td><td>the cookies <code>{access}</code>, <code>{refresh}</code> and <code>{csrf}</code>, set at \
         sign-in</td><td>the value of <code>{csrf}</code> in <code>X-CSRF-Token</code></td></tr>\
         <tr><td>Everything else</td><td><code>Authorization: Bearer</code> and the access token, after a sign-in with \
         <code>\"token_transport\": \"bearer\"</code></td><td>nothing</td></tr></tbody></table></div>\
         <p>Every answer carries <code>X-Request-Id</code>, under which the log knows the request.</p>"
    )
}

fn write_route(html: &mut String, endpoint: &Endpoint, route: &Route, base: &str) -> fmt::Result {
    let method = route.method.name();
    write!(
        html,
        "<article id=\"{}\"><header><h3>{}</h3><div class=\"route\"><span class=\"method {}\">{method}</span>\
         <code>{}</code></div></header><div>",
        route.operation,
        Escaped(route.summary),
        method.to_ascii_lowercase(),
        Escaped(endpoint.path)
    )?;
    if !route.description.is_empty() {
        write!(html, "<p>{}</p>", Escaped(route.description))?;
    }
    write_marks(html, route)?;
    if let Some((shape, _)) = route.body.expected() {
        write_body(html, shape)?;
    }
    write_answers(html, route)?;
    write!(html, "<pre><code>{}</code></pre></div></article>", Escaped(&example(endpoint, route, base)))
}

fn write_marks(html: &mut String, route: &Route) -> fmt::Result {
    let auth = match route.auth {
        AuthRule::Public => "open to everybody",
        AuthRule::Optional => "signed in or not",
        AuthRule::User => "signed-in user",
    };
    let csrf = match route.csrf {
        CsrfRule::ReadOnly => None,
        CsrfRule::OriginOnly => Some("foreign origins refused"),
        CsrfRule::CookieWrite => Some("CSRF header with cookies"),
    };
    let rate = (route.rate != RateClass::Unlimited).then_some("rate limited");
    html.push_str("<ul class=\"marks\">");
    for mark in [Some(auth), csrf, rate].into_iter().flatten() {
        write!(html, "<li>{mark}</li>")?;
    }
    html.push_str("</ul>");
    Ok(())
}

/// What a member says about itself; an optional reference says it in one of its alternatives.
fn description(property: &Value) -> Option<&str> {
    let alternatives = property.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    [property].into_iter().chain(alternatives).find_map(|schema| schema.get("description")?.as_str())
}

fn write_body(html: &mut String, shape: &Shape) -> fmt::Result {
    let schema = schema(shape);
    html.push_str("<div class=\"scroll\"><table><caption>Body</caption><tbody>");
    for (name, property) in properties(&schema) {
        let due = if is_required(&schema, name) { "required" } else { "optional" };
        let text = description(property).unwrap_or_default();
        write!(
            html,
            "<tr><td><code>{}</code></td><td>{due}</td><td>{}</td></tr>",
            Escaped(name),
            Escaped(text)
        )?;
    }
    html.push_str("</tbody></table></div>");
    Ok(())
}

fn write_answers(html: &mut String, route: &Route) -> fmt::Result {
    let success = &route.success;
    write!(
        html,
        "<div class=\"scroll\"><table><caption>Answers</caption><tbody><tr><td>{}</td><td>{}</td></tr>",
        success.status,
        Escaped(success.description)
    )?;
    let mut errors = route.errors();
    errors.sort_by_key(|code| code.status());
    for code in errors {
        write!(
            html,
            "<tr><td>{}</td><td><a href=\"#error-{name}\"><code>{name}</code></a></td></tr>",
            code.status(),
            name = code.code()
        )?;
    }
    html.push_str("</tbody></table></div>");
    Ok(())
}

fn write_errors(html: &mut String) -> fmt::Result {
    html.push_str(
        "<h2 id=\"errors\">Errors</h2><p>Every error has this envelope. <code>fields</code> is there when fields \
         break rules.</p><pre><code>",
    );
    let envelope = r#"{
  "error": {
    "code": "invalid_input",
    "message": "email: is required",
    "type": "validation_error",
    "request_id": "0199b2a4-6c1e-7d30-8f6e-3c0c5a2f9b11",
    "fields": [{ "field": "email", "message": "is required" }]
  }
}"#;
    write!(html, "{}</code></pre><div class=\"scroll\"><table><tbody>", Escaped(envelope))?;
    for code in ErrorCode::ALL {
        write!(
            html,
            "<tr id=\"error-{name}\"><td><code>{name}</code></td><td>{}</td><td>{}</td></tr>",
            code.status(),
            Escaped(code.meaning()),
            name = code.code()
        )?;
    }
    html.push_str("</tbody></table></div>");
    Ok(())
}

/// A call that can be copied into a shell.
fn example(endpoint: &Endpoint, route: &Route, base: &str) -> String {
    let mut lines = vec![match route.method {
        Method::Get => {
            format!("curl {base}{}", endpoint.path.replace("{id}", "$ID").replace("{name}", "$NAME"))
        }
        Method::Post | Method::Patch | Method::Delete => {
            format!(
                "curl -X {} {base}{}",
                route.method.name(),
                endpoint.path.replace("{id}", "$ID").replace("{name}", "$NAME")
            )
        }
    }];
    if route.auth != AuthRule::Public {
        lines.push("-H \"Authorization: Bearer $ACCESS_TOKEN\"".to_owned());
    }
    if let BodyRule::Multipart(..) = route.body {
        lines.push("-F avatar=@picture.jpg".to_owned());
    } else if let Some((shape, _)) = route.body.expected() {
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d '{}'", example_body(shape)));
    }
    lines.join(" \\\n  ")
}

/// A body with every required field, or with all of them when none is.
fn example_body(shape: &Shape) -> String {
    let schema = schema(shape);
    let any_required = properties(&schema).any(|(name, _)| is_required(&schema, name));
    let fields = properties(&schema).filter(|(name, _)| !any_required || is_required(&schema, name));
    let pairs = fields.map(|(name, property)| {
        let example = property.pointer("/examples/0").and_then(Value::as_str).unwrap_or("…");
        format!("\"{name}\": \"{example}\"")
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

fn schema(shape: &Shape) -> Value {
    serde_json::to_value((shape.schema)()).unwrap_or_default()
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, property)| (name.as_str(), property))
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|field| field == name))
}

/// Text that means nothing to an HTML parser.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
