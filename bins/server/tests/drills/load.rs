//! People who go about their business while something happens to the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::node::{Answer, Client, Tokens, tokens};

/// Everybody checks their session and refreshes it, in turn, until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    people: Vec<JoinHandle<(Tokens, Vec<Sample>)>>,
}

/// What somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Session,
    Refresh,
}

/// A request and what became of it.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) began: Instant,
    pub(crate) took: Duration,
    /// `None` when the connection ended without an answer.
    pub(crate) answer: Option<Answer>,
}

impl Sample {
    pub(crate) fn is(&self, status: u16) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.status == status)
    }

    pub(crate) fn is_turned_away(&self) -> bool {
        self.answer.as_ref().is_some_and(Answer::is_turned_away)
    }
}

impl Load {
    /// Everybody asks again as soon as they are answered.
    pub(crate) fn start(people: Vec<(Client, Tokens)>) -> Self {
        Self::with_pauses(people, Duration::ZERO)
    }

    /// Everybody waits so long between their turns, and no two begin together.
    pub(crate) fn with_pauses(people: Vec<(Client, Tokens)>, pause: Duration) -> Self {
        let (stop, step) = (Arc::new(AtomicBool::new(false)), pause.div_f64(people.len().max(1) as f64));
        let people = people.into_iter().zip(0_u32..).map(|((client, tokens), n)| {
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::time::sleep(step * n).await;
                work(client, tokens, pause, stop).await
            })
        });
        Self { people: people.collect(), stop }
    }

    /// Everybody's newest tokens that were acknowledged, and every request that was made.
    pub(crate) async fn stop(self) -> (Vec<Tokens>, Vec<Sample>) {
        self.stop.store(true, Ordering::SeqCst);
        let (mut ledger, mut samples) = (vec![], vec![]);
        for person in self.people {
            let (tokens, mut theirs) = person.await.unwrap();
            ledger.push(tokens);
            samples.append(&mut theirs);
        }
        (ledger, samples)
    }
}

/// Accounts of their own for so many people.
pub(crate) async fn sign_up(client: &Client, name: &str, count: usize) -> Vec<Tokens> {
    let mut people = vec![];
    for n in 0..count {
        people.push(
            client.register(&format!("{name}.{n}@example.com")).await.expect("a free service registers"),
        );
    }
    people
}

async fn work(
    client: Client,
    mut held: Tokens,
    pause: Duration,
    stop: Arc<AtomicBool>,
) -> (Tokens, Vec<Sample>) {
    let mut samples = vec![];
    while !stop.load(Ordering::SeqCst) {
        for kind in [Kind::Session, Kind::Refresh] {
            let began = Instant::now();
            let answer = match kind {
                Kind::Session => client.try_session(&held.access).await,
                Kind::Refresh => client.try_refresh(&held.refresh).await,
            };
            let sample = Sample { kind, began, took: began.elapsed(), answer };
            match (kind, &sample.answer) {
                (Kind::Session, Some(answer)) if answer.status == 200 => {
                    assert_eq!(answer.body["user"]["email"], held.email, "somebody else's answer");
                }
                (Kind::Refresh, Some(answer)) if answer.status == 200 => {
                    held = tokens(&held.email, &answer.body);
                }
                // Who is turned away comes back a little later.
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            samples.push(sample);
        }
        // Even a sleep of nothing may last for a millisecond.
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    (held, samples)
}

/// The time within which so many per cent were answered, in milliseconds.
pub(crate) fn percentile_ms(percent: usize, times: impl IntoIterator<Item = Duration>) -> u128 {
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort();
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).expect("something was measured").as_millis()
}
