//! The development outbox as pages for people, and who may see them.
//!
//! Whoever reads these mails can sign in as anybody. So they are shown to this machine alone, straight and not through a
//! proxy, under a name of this machine: a page of another site that has its name resolve to us (DNS rebinding) is sent
//! away like everybody else, with the answer of a path that does not exist.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use identsphere_core::KeptMail;

use crate::docs::Escaped;
use crate::head::Head;

const STYLE: &str = include_str!("outbox.css");

/// What the paths of the outbox begin with.
pub(crate) const PREFIX: &str = "/dev/";

/// Under which both pages are shown. Styles stand in the mail itself; nothing is loaded, nothing runs.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                                 frame-ancestors 'none'";

/// Whether the request comes from this machine and from nowhere else.
pub(crate) fn is_from_here(head: &Head<'_>) -> bool {
    let peer_is_here = head.peer.is_some_and(|peer| peer.to_canonical().is_loopback());
    peer_is_here && !head.is_forwarded && head.host.is_some_and(names_this_machine)
}

/// Whether a `Host` field is a loopback address, `localhost`, or a name below it (RFC 6761 §6.3).
fn names_this_machine(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':').unwrap_or(port)),
        None => host.split_once(':').unwrap_or((host, "")),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = name.to_ascii_lowercase();
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    is_name && (name == "localhost" || name.ends_with(".localhost"))
}

/// All mails, the newest first. It looks again by itself.
pub(crate) fn list<'a>(mails: impl IntoIterator<Item = &'a KeptMail>) -> String {
    let mut rows = String::new();
    for mail in mails {
        // Writing to a string cannot fail.
        let _ = write!(
            rows,
            "<tr><td><a href=\"/dev/mail/{}\">{}</a></td><td>{}</td><td>{}</td></tr>",
            mail.id,
            Escaped(&mail.subject),
            Escaped(&mail.to),
            Escaped(&time(mail))
        );
    }
    let body = if rows.is_empty() {
        "<p>Nothing yet. Sign up, or ask for a code, and look here again: this page does so by itself.</p>"
            .to_owned()
    } else {
        format!(
            "<div class=\"scroll\"><table><thead><tr><th>Subject</th><th>To</th><th>When (UTC)</th></tr></thead>\
             <tbody>{rows}</tbody></table></div>"
        )
    };
    let lead =
        "Mail that was not sent, because no mail server is set. The latest 200, until the server stops.";
    page(
        "Development mail",
        "<meta http-equiv=\"refresh\" content=\"3\">",
        &format!("<p class=\"lead\">{lead}</p>{body}"),
    )
}

/// One mail.
pub(crate) fn message(mail: &KeptMail) -> String {
    // Links of the mail lead out of its frame, which can do nothing.
    let framed = match mail.html.split_once("<head>") {
        Some((start, rest)) => format!("{start}<head><base target=\"_blank\">{rest}"),
        None => format!("<base target=\"_blank\">{}", mail.html),
    };
    let body = format!(
        "<p class=\"lead\">To {} on {} UTC &middot; <a href=\"/dev/mail\">all mail</a></p>\
         <iframe title=\"The mail as HTML\" sandbox=\"allow-popups allow-popups-to-escape-sandbox\" srcdoc=\"{}\"></iframe>\
         <h2>As plain text</h2><pre>{}</pre>",
        Escaped(&mail.to),
        Escaped(&time(mail)),
        Escaped(&framed),
        Linked(&mail.text)
    );
    page(&mail.subject, "", &body)
}

fn page(title: &str, head: &str, body: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{head}<title>{title}</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>\n"
    )
}

/// To the second.
fn time(mail: &KeptMail) -> String {
    mail.at.to_rfc3339().replace('T', " ").chars().take(19).collect()
}

/// Text whose addresses can be followed.
struct Linked<'a>(&'a str);

impl fmt::Display for Linked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for word in self.0.split_inclusive(char::is_whitespace) {
            let address = word.trim_end();
            if address.starts_with("http://") || address.starts_with("https://") {
                let (address, rest) =
                    (Escaped(address), Escaped(word.get(address.len()..).unwrap_or_default()));
                write!(f, "<a href=\"{address}\" target=\"_blank\">{address}</a>{rest}")?;
            } else {
                write!(f, "{}", Escaped(word))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_name_it() {
        for host in [
            "localhost",
            "LOCALHOST:4000",
            "id.localhost:4000",
            "127.0.0.1:4000",
            "127.9.9.9",
            "[::1]",
            "[::1]:4000",
        ] {
            assert!(names_this_machine(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "notlocalhost",
            "127.0.0.1.example.com",
            "localhost:80@example.com",
            "10.0.0.1:4000",
            "[2001:db8::1]",
            "[::1",
            "0.0.0.0",
            "\u{fffd}",
        ] {
            assert!(!names_this_machine(host), "{host}");
        }
    }
}
