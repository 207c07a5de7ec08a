//! The parts that a call cannot do without, and nothing besides: what the server's CPU time is to be compared with.
//!
//! `parts PART SECONDS AT_ONCE [WHERE]`, where PART is
//! - `sign`, `verify`: an RS256 signature over what is as long as an access token, by the library that the server uses;
//! - `hash`, with WHERE a setting such as `argon2id:m=19456,t=2,p=1`: one password hash, on threads as many as cores;
//! - `read`, `update`, with WHERE the URL of a database that a server has filled: one row of `user_sessions` read by its
//!   key, or one row changed and the change committed, by the driver of that store and as durably.
//!
//! AT_ONCE pieces of work are under way at any time. Prints one JSON object; `cpu_ms` is this process's own.

mod memory;
mod postgres;
mod sqlite;

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use argon2::{Algorithm, Argon2, Block, Version};
use identsphere_bench::CpuTimes;
use josekit::jws::{JwsSigner, JwsVerifier, RS256};
use openssl::rsa::Rsa;
use serde_json::json;
use tokio::task::JoinSet;

/// Whatever may go wrong.
pub(crate) type Fault = Box<dyn Error + Send + Sync>;

/// Bytes of what an access token's signature covers.
const MESSAGE: usize = 580;
const PASSWORD: &[u8] = b"a password for measuring";
const SALT: [u8; 16] = [7; 16];

/// One row, under its key.
pub(crate) trait Table: Send + Sync + 'static {
    /// Reads the row of worker `number`.
    fn read(&self, number: usize) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Changes the row of worker `number` to hold this hash, durably.
    fn update(&self, number: usize, hash: [u8; 32]) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// How long, and how much at a time.
#[derive(Clone, Copy)]
struct Plan {
    length: Duration,
    at_once: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Read,
    Update,
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let usage = "usage: parts sign|verify|hash|read|update SECONDS AT_ONCE [WHERE]";
    let [part, length, at_once, place @ ..] = &texts[..] else { return Err(usage.into()) };
    let plan = Plan { length: Duration::from_secs(length.parse()?), at_once: at_once.parse()? };
    match (*part, place) {
        ("sign", []) => sign(plan).await,
        ("verify", []) => verify(plan).await,
        ("hash", [setting]) => hash(plan, setting),
        ("read", [url]) => on_table(plan, url, Access::Read).await,
        ("update", [url]) => on_table(plan, url, Access::Update).await,
        _ => Err(usage.into()),
    }
}

async fn sign(plan: Plan) -> Result<(), Fault> {
    let key = Rsa::generate(2048)?.private_key_to_der()?;
    let signer = Arc::new(RS256.signer_from_der(&key)?);
    repeat(plan, move |_| {
        let signer = signer.clone();
        async move { Ok(signer.sign(&[b'm'; MESSAGE]).map(drop)?) }
    })
    .await
}

async fn verify(plan: Plan) -> Result<(), Fault> {
    let key = Rsa::generate(2048)?;
    let signature: Arc<[u8]> =
        RS256.signer_from_der(key.private_key_to_der()?)?.sign(&[b'm'; MESSAGE])?.into();
    let verifier = Arc::new(RS256.verifier_from_der(key.public_key_to_der()?)?);
    repeat(plan, move |_| {
        let (verifier, signature) = (verifier.clone(), signature.clone());
        async move { Ok(verifier.verify(&[b'm'; MESSAGE], &signature)?) }
    })
    .await
}

async fn on_table(plan: Plan, url: &str, access: Access) -> Result<(), Fault> {
    if url == "memory:" {
        on_rows(plan, memory::Rows::new(plan.at_once), access).await
    } else if let Some(path) = url.strip_prefix("sqlite://") {
        on_rows(plan, sqlite::Rows::open(path, plan.at_once)?, access).await
    } else {
        on_rows(plan, postgres::Rows::open(url, plan.at_once).await?, access).await
    }
}

async fn on_rows(plan: Plan, rows: impl Table, access: Access) -> Result<(), Fault> {
    let rows = Arc::new(rows);
    repeat(plan, move |turn: Turn| {
        let rows = rows.clone();
        async move {
            match access {
                Access::Read => rows.read(turn.worker).await,
                Access::Update => rows.update(turn.worker, turn.hash()).await,
            }
        }
    })
    .await
}

/// Whose turn it is, and the how manieth of theirs.
#[derive(Clone, Copy)]
struct Turn {
    worker: usize,
    number: u64,
}

impl Turn {
    /// A value that was not there before.
    fn hash(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.iter_mut().zip(self.number.to_le_bytes()).for_each(|(to, from)| *to = from);
        hash
    }
}

/// Does a piece of work again and again, so many at once; then reports.
async fn repeat<F>(plan: Plan, work: impl Fn(Turn) -> F + Clone + Send + 'static) -> Result<(), Fault>
where
    F: Future<Output = Result<(), Fault>> + Send,
{
    let (before, started) = (CpuTimes::of("self")?, Instant::now());
    let mut running = JoinSet::new();
    for worker in 0..plan.at_once {
        let work = work.clone();
        running.spawn(async move {
            let mut number = 0;
            while started.elapsed() < plan.length {
                work(Turn { worker, number }).await?;
                number += 1;
                // Signatures never wait for anything, and all have their turns.
                tokio::task::yield_now().await;
            }
            Ok::<_, Fault>(number)
        });
    }
    let mut operations = 0;
    while let Some(done) = running.join_next().await {
        operations += done??;
    }
    report(operations, started, CpuTimes::of("self")?.since(&before));
    Ok(())
}

/// Hashes on as many threads as cores, as whoever asks more at once would wait.
fn hash(plan: Plan, setting: &str) -> Result<(), Fault> {
    let setting = Setting::parse(setting).ok_or("no such hash setting")?;
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let over = AtomicBool::new(false);
    let started = Instant::now();
    let counts: Vec<Result<(u64, f64), Fault>> = thread::scope(|scope| {
        let work = || {
            let (mut count, mut blocks) = (0, vec![]);
            while !over.load(Ordering::Relaxed) {
                setting.compute(&mut blocks)?;
                count += 1;
            }
            // A thread takes its times along when it ends.
            Ok((count, CpuTimes::of_this_thread()?))
        };
        let threads: Vec<_> = (0..cores.min(plan.at_once)).map(|_| scope.spawn(work)).collect();
        thread::sleep(plan.length);
        over.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("panicked".into()))).collect()
    });
    let counts = counts.into_iter().collect::<Result<Vec<_>, Fault>>()?;
    let operations = counts.iter().map(|(count, _)| count).sum();
    report(operations, started, counts.iter().map(|(_, cpu_ms)| cpu_ms).sum());
    Ok(())
}

fn report(operations: u64, started: Instant, cpu_ms: f64) {
    let report =
        json!({"operations": operations, "seconds": started.elapsed().as_secs_f64(), "cpu_ms": cpu_ms});
    println!("{report}");
}

/// A function and its parameters.
enum Setting {
    Argon2id(argon2::Params),
    Scrypt(scrypt::Params),
}

impl Setting {
    fn parse(text: &str) -> Option<Self> {
        let (name, parameters) = text.split_once(':')?;
        let values = parameters.split(',').map(|pair| pair.split_once('=')?.1.parse().ok());
        let values = values.collect::<Option<Vec<u32>>>()?;
        let [first, second, third] = values[..] else { return None };
        match name {
            "argon2id" => argon2::Params::new(first, second, third, None).ok().map(Self::Argon2id),
            "scrypt" => scrypt::Params::new(first.try_into().ok()?, second, third).ok().map(Self::Scrypt),
            _ => None,
        }
    }

    /// One hash, in memory that is kept for the next.
    fn compute(&self, blocks: &mut Vec<Block>) -> Result<(), Fault> {
        let mut output = [0; 32];
        match self {
            Self::Argon2id(params) => {
                blocks.resize(params.block_count(), Block::default());
                let function = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let done = function.hash_password_into_with_memory(PASSWORD, &SALT, &mut output, blocks);
                done.map_err(|error| error.to_string())?;
            }
            Self::Scrypt(params) => scrypt::scrypt(PASSWORD, &SALT, params, &mut output)?,
        }
        std::hint::black_box(output);
        Ok(())
    }
}
