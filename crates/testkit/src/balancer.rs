//! A small HTTP balancer that sends requests to nodes whose `/readyz` says so.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How often a node is asked whether it is ready, and how long it has to answer.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
const PROBE_PATIENCE: Duration = Duration::from_secs(1);
/// The longest request that is passed on.
const MAX_REQUEST: usize = 1 << 20;
const NOBODY_READY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n";

/// Hands requests to ready nodes in turn, each over a connection of its own. A request is never sent twice: another
/// node is tried only while none has taken the connection. Stops when it is dropped.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Nodes {
    nodes: Vec<Node>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Node {
    address: SocketAddr,
    ready: AtomicBool,
}

impl Balancer {
    /// A balancer over nodes, on a free port. A node counts as away until it has said that it is ready.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let node = |address| Node { address, ready: AtomicBool::new(false) };
        let nodes = addresses.into_iter().map(node).collect();
        let nodes = Arc::new(Nodes { nodes, next: AtomicUsize::new(0) });
        for node in &nodes.nodes {
            node.ready.store(is_ready(node.address).await, Ordering::SeqCst);
        }
        let mut tasks = JoinSet::new();
        for index in 0..nodes.nodes.len() {
            tasks.spawn(watch(nodes.clone(), index));
        }
        tasks.spawn(serve(listener, nodes));
        Ok(Self { address, _tasks: tasks })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Nodes {
    /// A connection to the next node that is ready and takes one.
    async fn connect(&self) -> Option<TcpStream> {
        let first = self.next.fetch_add(1, Ordering::SeqCst);
        for node in self.nodes.iter().cycle().skip(first % self.nodes.len().max(1)).take(self.nodes.len()) {
            if node.ready.load(Ordering::SeqCst)
                && let Ok(stream) = TcpStream::connect(node.address).await
            {
                return Some(stream);
            }
        }
        None
    }
}

async fn watch(nodes: Arc<Nodes>, index: usize) {
    let mut probes = tokio::time::interval(PROBE_INTERVAL);
    while let Some(node) = nodes.nodes.get(index) {
        probes.tick().await;
        node.ready.store(is_ready(node.address).await, Ordering::SeqCst);
    }
}

async fn is_ready(node: SocketAddr) -> bool {
    let probe = async {
        let mut stream = TcpStream::connect(node).await?;
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {node}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await?;
        io::Result::Ok(answer.starts_with(b"HTTP/1.1 200 "))
    };
    timeout(PROBE_PATIENCE, probe).await.is_ok_and(|ready| ready.unwrap_or(false))
}

async fn serve(listener: TcpListener, nodes: Arc<Nodes>) {
    let mut clients = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let nodes = nodes.clone();
        // A client that sees its connection end without an answer counts it as lost; there is nothing to add.
        clients.spawn(async move { drop(pass_on(client, &nodes).await) });
        while clients.try_join_next().is_some() {}
    }
}

/// One request of a client and its answer.
async fn pass_on(mut client: TcpStream, nodes: &Nodes) -> io::Result<()> {
    let Some(request) = read_request(&mut client).await? else { return Ok(()) };
    let Some(mut node) = nodes.connect().await else { return client.write_all(NOBODY_READY).await };
    node.write_all(&request).await?;
    tokio::io::copy(&mut node, &mut client).await?;
    client.shutdown().await
}

/// A whole request, which asks for the connection to end after the answer; `None` when the client said nothing.
async fn read_request(client: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![];
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > MAX_REQUEST || client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let mut body = bytes.split_off(head_end + 4);
    let head = String::from_utf8_lossy(&bytes);
    let mut length = 0;
    let mut request = String::new();
    for line in head.trim_end().lines() {
        match line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
            Some((name, value)) if name == "content-length" => length = value.parse().unwrap_or(0),
            Some((name, _)) if name == "connection" => continue,
            Some(_) | None => {}
        }
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("connection: close\r\n\r\n");
    while body.len() < length.min(MAX_REQUEST) && client.read_buf(&mut body).await? > 0 {}
    let mut request = request.into_bytes();
    request.append(&mut body);
    Ok(Some(request))
}
