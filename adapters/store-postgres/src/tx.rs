//! Transactions that hold their writes back.
//!
//! Nothing is sent before it must be. A commit sends `BEGIN`, the writes and `COMMIT` at once and then waits for all
//! the answers: one round trip. A call that needs an answer sends `BEGIN`, the writes so far and itself at once; the
//! commit is then the second trip.
//!
//! The server works in the order of sending. When a write fails it refuses those behind it, and `COMMIT` of a
//! transaction that has failed undoes it (and calls that a success); so the first failure among the answers is the
//! truth about the whole.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::Poll;

use async_trait::async_trait;
use diesel::pg::Pg;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel_async::{AsyncConnectionCore, AsyncPgConnection};
use futures::FutureExt;
use futures::future::{BoxFuture, MaybeDone, join, maybe_done};
use identsphere_core::{Take, Tx};
use identsphere_kernel::StoreError;

use crate::pool::{Lease, Pool};
use crate::prepared::{Command, Prepared};
use crate::{errors, limits};

/// A write that waits to be sent: called, it sends itself when it is first polled.
type Write = Box<dyn for<'c> FnOnce(&'c AsyncPgConnection) -> BoxFuture<'c, QueryResult<usize>> + Send>;

const BEGIN: Command = Command("BEGIN");
const COMMIT: Command = Command("COMMIT");

pub(crate) struct PgTx {
    pool: Pool,
    stage: Stage,
    held: Vec<Write>,
    /// Sent last, in the order of their buckets: they are locked for the shortest time, and never crosswise.
    given_back: Vec<Take>,
}

enum Stage {
    /// The server does not know of it.
    Unsent,
    /// The server is in it.
    Open(Box<Lease>),
    /// Something failed; the server has undone it or is about to.
    Failed,
}

impl PgTx {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, stage: Stage::Unsent, held: Vec::new(), given_back: Vec::new() }
    }

    /// Holds a write back.
    pub(crate) fn hold(&mut self, statement: impl QueryFragment<Pg> + QueryId + Send + 'static) {
        self.held.push(write(statement));
    }

    /// Holds a returned token back.
    pub(crate) fn hold_token(&mut self, take: Take) {
        self.given_back.push(take);
    }

    /// Sends what is held and this question behind it.
    pub(crate) async fn ask<T: Send, Q>(&mut self, question: Q) -> Result<T, StoreError>
    where
        Q: for<'c> FnOnce(&'c AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send,
    {
        let (lease, writes) = self.next_trip().await?;
        let connection: &AsyncPgConnection = &lease;
        let writes = in_order(writes.into_iter().map(|write| write(connection)).collect());
        let (written, answer) = lease.within(join(writes, question(connection))).await?;
        first_failure(written)?;
        let answer = answer.map_err(errors::by_meaning)?;
        self.stage = Stage::Open(Box::new(lease));
        Ok(answer)
    }

    /// A connection and what has to be sent on it first. Until the trip has succeeded the transaction counts as failed.
    async fn next_trip(&mut self) -> Result<(Lease, Vec<Write>), StoreError> {
        let mut writes = mem::take(&mut self.held);
        let lease = match mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Unsent => {
                writes.insert(0, write(BEGIN));
                self.pool.lease().await?
            }
            Stage::Open(lease) => *lease,
            Stage::Failed => return Err(StoreError::corrupt("a transaction was used after it had failed")),
        };
        Ok((lease, writes))
    }
}

#[async_trait]
impl Tx for PgTx {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.given_back.sort_by(|a, b| a.bucket.as_bytes().cmp(b.bucket.as_bytes()));
        self.held
            .extend(mem::take(&mut self.given_back).into_iter().map(|take| write(limits::give_back(&take))));
        if matches!(self.stage, Stage::Unsent) && self.held.is_empty() {
            return Ok(());
        }
        let (lease, mut writes) = self.next_trip().await?;
        writes.push(write(COMMIT));
        let connection: &AsyncPgConnection = &lease;
        let written =
            lease.within(in_order(writes.into_iter().map(|write| write(connection)).collect())).await?;
        // An answered COMMIT has ended the transaction, one way or the other.
        if written.last().is_some_and(Result::is_ok) {
            lease.release();
        }
        first_failure(written)
    }
}

fn write(statement: impl QueryFragment<Pg> + QueryId + Send + 'static) -> Write {
    Box::new(move |mut connection| (&mut connection).execute_returning_count(Prepared(statement)))
}

fn first_failure(written: Vec<QueryResult<usize>>) -> Result<(), StoreError> {
    written.into_iter().find_map(Result::err).map_or(Ok(()), |error| Err(errors::by_meaning(error)))
}

/// Sends writes one behind the other and waits for all the answers.
///
/// In every round each is polled after those before it. That is the order of sending, for these reasons: a statement is
/// sent by the first poll that finds it prepared; the prepared statements of a connection are behind a fair lock, which
/// one that must be prepared first holds meanwhile; and `BEGIN` and `COMMIT` pass that lock like any other statement.
///
/// One that fails at once has never left (a value that cannot be written down). The server does not know of that
/// failure, so nothing is sent behind it, least of all a `COMMIT`.
async fn in_order(writes: Vec<BoxFuture<'_, QueryResult<usize>>>) -> Vec<QueryResult<usize>> {
    let mut sent: Vec<MaybeDone<_>> = Vec::with_capacity(writes.len());
    let mut unsent = writes.into_iter().map(maybe_done).fuse();
    poll_fn(|cx| {
        let mut waiting =
            sent.iter_mut().filter_map(|write| write.poll_unpin(cx).is_pending().then_some(())).count();
        while let Some(mut write) = unsent.next() {
            waiting += usize::from(write.poll_unpin(cx).is_pending());
            if matches!(write, MaybeDone::Done(Err(_))) {
                unsent.by_ref().for_each(drop);
            }
            sent.push(write);
        }
        if waiting == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    sent.iter_mut().filter_map(|write| Pin::new(write).take_output()).collect()
}

#[cfg(test)]
mod tests {
    use diesel::result::Error;
    use futures::future::ready;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn nothing_is_sent_behind_a_write_that_cannot_leave() {
        let commit = async { unreachable!("a commit of half a transaction") };
        let writes = vec![ready(Ok(1)).boxed(), ready(Err(Error::NotFound)).boxed(), commit.boxed()];
        assert_eq!(in_order(writes).await, [Ok(1), Err(Error::NotFound)]);
    }

    #[tokio::test]
    async fn a_write_that_the_server_refuses_does_not_stop_those_on_their_way() {
        let (refuse, refused) = oneshot::channel();
        let first = async { refused.await.unwrap() };
        let second = async { Ok(refuse.send(Err(Error::NotFound)).map(|()| 2).unwrap()) };
        assert_eq!(in_order(vec![first.boxed(), second.boxed()]).await, [Err(Error::NotFound), Ok(2)]);
    }
}
