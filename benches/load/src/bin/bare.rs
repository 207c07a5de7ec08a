//! The yardstick: an actix-web server that does nothing but send fixed bytes.
//!
//! `bare ADDRESS ANSWERS` answers every method on each path that the JSON file ANSWERS lists, with the headers and the
//! body given there. `scripts/bench` fills it with answers of the real server.

use std::fs;
use std::io::{Error, ErrorKind, Result};

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpResponseBuilder, HttpServer, http::StatusCode};
use serde::Deserialize;

#[derive(Clone, Deserialize)]
struct Answer {
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
}

/// A body: text in the file, shared bytes in memory.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
struct Body(Bytes);

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

#[actix_web::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "usage: bare ADDRESS ANSWERS"));
    };
    let answers: Vec<Answer> = serde_json::from_slice(&fs::read(file)?)?;
    HttpServer::new(move || {
        answers.iter().cloned().fold(App::new(), |app, answer| {
            let path = answer.path.clone();
            // The body is read, as the server must: a connection with unread bytes would be closed.
            app.route(&path, web::route().to(move |_body: Bytes| std::future::ready(send(&answer))))
        })
    })
    .bind(address)?
    .run()
    .await
}

fn send(answer: &Answer) -> HttpResponse {
    let mut response = HttpResponseBuilder::new(StatusCode::OK);
    for (name, value) in &answer.headers {
        response.append_header((name.as_str(), value.as_str()));
    }
    response.body(answer.body.0.clone())
}
