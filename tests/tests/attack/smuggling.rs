//! Request smuggling (D-23): a tiny reverse proxy sends requests of an attacker and of somebody else down one
//! connection. Whatever the attacker frames, nobody gets an answer that is not theirs.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::both;
use crate::world::World;

both! { nobody_gets_an_answer_that_is_not_theirs, ambiguous_framing_is_refused, two_requests_in_a_row_are_two }

/// What the attacker hopes that the service takes for the beginning of the next request.
const SMUGGLED: &str = "GET /v1/auth/smuggled HTTP/1.1\r\nhost: a\r\nx-request-id: smuggled\r\n\r\n";

/// A proxy's connection to the service, kept open from one client's request to the next.
struct Upstream(TcpStream);

impl Upstream {
    async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends what one client sent and reads the one answer to it; `None` when the service closed the connection, or
    /// waits for more.
    async fn forward(&mut self, request: &str) -> Option<String> {
        self.0.write_all(request.as_bytes()).await.ok()?;
        timeout(Duration::from_millis(1_500), self.read_answer()).await.ok().flatten()
    }

    async fn read_answer(&mut self) -> Option<String> {
        let mut answer = vec![];
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(answer).ok()?;
        let length = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).await.ok()?;
        Some(head + &String::from_utf8_lossy(&body))
    }
}

/// Head fields and body of requests to login that two servers could frame differently.
fn shapes() -> Vec<(&'static str, String)> {
    let length = SMUGGLED.len();
    let hex = format!("{length:x}");
    let chunked = format!("0\r\n\r\n{SMUGGLED}");
    let total = chunked.len();
    let shape = |name, fields: String, body: String| {
        (
            name,
            format!(
                "POST /v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nx-request-id: attacker\r\n{fields}\r\n{body}"
            ),
        )
    };
    let with_te = |name, te: &str| shape(name, format!("content-length: {total}\r\n{te}"), chunked.clone());
    vec![
        with_te("CL.TE", "transfer-encoding: chunked\r\n"),
        shape(
            "TE.CL",
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n".into(),
            format!("{hex}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
        ),
        shape(
            "TE before CL",
            format!("transfer-encoding: chunked\r\ncontent-length: {total}\r\n"),
            chunked.clone(),
        ),
        with_te("TE in other letters", "Transfer-Encoding: cHuNkEd\r\n"),
        with_te("TE with a space before the colon", "transfer-encoding : chunked\r\n"),
        with_te("TE with a tab", "transfer-encoding:\tchunked\r\n"),
        with_te("TE with a vertical tab", "transfer-encoding:\x0bchunked\r\n"),
        with_te("TE folded", "transfer-encoding:\r\n chunked\r\n"),
        with_te("TE on a folded line", "x: y\r\n transfer-encoding: chunked\r\n"),
        with_te("TE unknown", "transfer-encoding: xchunked\r\n"),
        with_te("TE quoted", "transfer-encoding: \"chunked\"\r\n"),
        with_te("TE twice", "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n"),
        with_te("TE twice, other order", "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n"),
        with_te("TE listed", "transfer-encoding: chunked, identity\r\n"),
        with_te("TE gzip, chunked", "transfer-encoding: gzip, chunked\r\n"),
        with_te("TE after a bare line feed", "x: y\ntransfer-encoding: chunked\r\n"),
        with_te("TE after a bare carriage return", "x: y\rtransfer-encoding: chunked\r\n"),
        with_te("TE after a NUL", "x: y\0transfer-encoding: chunked\r\n"),
        with_te("TE identity", "transfer-encoding: identity\r\n"),
        with_te("TE with an underscore", "transfer_encoding: chunked\r\n"),
        shape("CL twice", format!("content-length: 0\r\ncontent-length: {length}\r\n"), SMUGGLED.into()),
        shape(
            "CL twice, other order",
            format!("content-length: {length}\r\ncontent-length: 0\r\n"),
            SMUGGLED.into(),
        ),
        shape("CL listed", format!("content-length: 0, {length}\r\n"), SMUGGLED.into()),
        shape("CL with a sign", format!("content-length: +{length}\r\n"), SMUGGLED.into()),
        shape("CL negative", "content-length: -1\r\n".into(), SMUGGLED.into()),
        shape("CL in hex", format!("content-length: 0x{hex}\r\n"), SMUGGLED.into()),
        shape(
            "CL with a space inside",
            format!("content-length: {} {}\r\n", length / 10, length % 10),
            SMUGGLED.into(),
        ),
        shape(
            "CL too large for a number",
            "content-length: 18446744073709551616\r\n".into(),
            SMUGGLED.into(),
        ),
        shape("CL with a space before the colon", format!("content-length : {length}\r\n"), SMUGGLED.into()),
        shape("CL folded", format!("content-length:\r\n {length}\r\n"), SMUGGLED.into()),
        shape(
            "chunk size with a sign",
            "transfer-encoding: chunked\r\n".into(),
            format!("+0\r\n\r\n{SMUGGLED}"),
        ),
        shape("chunk size in 0x", "transfer-encoding: chunked\r\n".into(), format!("0x0\r\n\r\n{SMUGGLED}")),
        shape(
            "chunk size with a space",
            "transfer-encoding: chunked\r\n".into(),
            format!("{hex} 0\r\n{SMUGGLED}\r\n0\r\n\r\n"),
        ),
        shape(
            "chunk size too large",
            "transfer-encoding: chunked\r\n".into(),
            format!("ffffffffffffffff1\r\n{SMUGGLED}"),
        ),
        shape(
            "chunk size that wraps to zero",
            "transfer-encoding: chunked\r\n".into(),
            format!("10000000000000000\r\n\r\n{SMUGGLED}"),
        ),
        shape(
            "chunk size ended by a line feed",
            "transfer-encoding: chunked\r\n".into(),
            format!("0\n\n{SMUGGLED}"),
        ),
        shape(
            "chunk longer than it says",
            "transfer-encoding: chunked\r\n".into(),
            format!("1\r\n{{}}\r\n0\r\n\r\n{SMUGGLED}"),
        ),
        shape(
            "chunk extension with a line feed",
            "transfer-encoding: chunked\r\n".into(),
            format!("2;\nxx\r\n{hex}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
        ),
        shape(
            "chunk extension with a bare carriage return",
            "transfer-encoding: chunked\r\n".into(),
            format!("0;a=\rb\r\n\r\n{SMUGGLED}"),
        ),
        shape("folded line", "x-folded: a\r\n b\r\ncontent-length: 0\r\n".into(), SMUGGLED.into()),
        shape("line that begins with a colon", ": x\r\ncontent-length: 0\r\n".into(), SMUGGLED.into()),
    ]
}

/// The answer of somebody whose request comes next on the connection is theirs, or there is none and the proxy opens
/// another connection.
async fn nobody_gets_an_answer_that_is_not_theirs(world: World) {
    assert_eq!(stolen(world.address).await, [] as [&str; 0]);
}

/// The shapes after which somebody else's request was answered with what is not theirs.
async fn stolen(address: SocketAddr) -> Vec<&'static str> {
    let mut stolen = vec![];
    for (name, attack) in shapes() {
        let mut upstream = Upstream::connect(address).await;
        // A service that waits for more of the attacker's body has not been told where it ends: the proxy's fault.
        let Some(first) = upstream.forward(&attack).await else { continue };
        assert!(!first.starts_with("HTTP/1.1 5"), "{name}: {first}");
        let next = "GET /healthz HTTP/1.1\r\nhost: a\r\nx-request-id: somebody-else\r\n\r\n";
        let second = upstream.forward(next).await;
        if second.is_some_and(|answer| !answer.contains("x-request-id: somebody-else")) {
            stolen.push(name);
        }
    }
    stolen
}

/// RFC 9112 §6.3: both framings at once are refused, or at least end the connection.
async fn ambiguous_framing_is_refused(world: World) {
    for (name, attack) in shapes().into_iter().take(3) {
        let mut upstream = Upstream::connect(world.address).await;
        upstream.forward(&attack).await;
        let closed = timeout(Duration::from_secs(3), async {
            let mut rest = vec![];
            let _ = upstream.0.read_to_end(&mut rest).await;
            assert!(!String::from_utf8_lossy(&rest).contains("smuggled"), "{name}");
        });
        assert!(closed.await.is_ok(), "{name}: the connection stays open");
    }
}

/// The check of the check: a server that takes every head for a request, and every body for the next head, is caught.
#[test]
fn a_server_that_can_be_fooled_is_caught() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_every_head(stream));
            }
        });
        let stolen = stolen(address).await;
        assert!(stolen.contains(&"CL twice") && stolen.contains(&"CL.TE"), "{stolen:?}");
    });
}

async fn answer_every_head(mut stream: TcpStream) {
    let mut head = vec![];
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&head).into_owned();
            let id = text.lines().find(|line| line.starts_with("x-request-id")).unwrap_or("x: y");
            let answer = format!("HTTP/1.1 200 OK\r\n{id}\r\ncontent-length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            head.clear();
        }
    }
}

/// And an honest request with a body leaves the connection to the next one.
async fn two_requests_in_a_row_are_two(world: World) {
    let body = r#"{"email":"a@example.com","password":"a wrong password"}"#;
    let framed = [
        format!("content-length: {}\r\n\r\n{body}", body.len()),
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
    ];
    for fields in framed {
        let mut upstream = Upstream::connect(world.address).await;
        let request =
            format!("POST /v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{fields}");
        assert!(upstream.forward(&request).await.unwrap().contains("invalid_credentials"));
    }
    let mut upstream = Upstream::connect(world.address).await;
    for id in ["one", "two", "three"] {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx-request-id: {id}\r\n\r\n");
        assert!(upstream.forward(&request).await.unwrap().contains(&format!("x-request-id: {id}")));
    }
}
