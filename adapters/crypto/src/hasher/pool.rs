//! The threads that hash, and the memory they may hold (DS-13).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use std::{io, thread};

use async_trait::async_trait;
use identsphere_accounts::{Password, PasswordHash};
use identsphere_core::{HashError, HashPlace, PasswordHasher, UnusableHash, Verification};
use identsphere_kernel::store_error::Cause;
use identsphere_kernel::{Duration, SecureRandom};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot};

use super::HashScheme;
use super::line::Line;
use super::stored::Stored;

/// What a pool may take.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// How new passwords are hashed.
    pub scheme: HashScheme,
    /// The most memory that all hashes together hold at any time, in MiB.
    pub memory_mib: u32,
    /// How long a request waits for its turn before it is refused.
    pub queue_wait: Duration,
    /// The most threads: as many as there are cores. Fewer run when the memory does not suffice for so many hashes.
    pub threads: usize,
}

/// Why a pool does not start.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The configured scheme alone needs more memory than there is.
    #[error("one password hash takes {needed_mib} MiB, but all together may take {memory_mib} MiB only")]
    TooLittleMemory {
        /// What one hash takes.
        needed_mib: u32,
        /// What is configured.
        memory_mib: u32,
    },
    /// The system gives no more threads.
    #[error("no thread for password hashing")]
    Thread(#[source] io::Error),
}

/// Hashes and checks passwords on threads of its own.
///
/// They are not the blocking threads of the runtime: those are shared with the storage, and run at the priority of
/// everything else. A hash begins when it is its turn at a thread and its memory is free; both then belong to the
/// work itself, so that a client that goes away frees nothing that is still in use. A request that is given up while it
/// waits is never hashed. Whoever takes a [place](PasswordHasher::place) is refused at once when the queue is longer
/// than can be worked off in time; a wait that turns out longer than expected ends when it must.
///
/// A stored hash of another scheme takes the time that its own parameters ask for, until the first sign-in replaces it.
pub struct PasswordPool {
    scheme: HashScheme,
    memory_mib: u32,
    queue_wait: Duration,
    random: Arc<dyn SecureRandom>,
    line: Arc<Line>,
    memory: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
}

impl PasswordPool {
    /// Starts the threads. They end when the pool is dropped.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn start(config: PoolConfig, random: Arc<dyn SecureRandom>) -> Result<Self, PoolError> {
        let PoolConfig { scheme, memory_mib, queue_wait, threads } = config;
        let needed_mib = scheme.memory_mib();
        let at_once = usize::try_from(memory_mib / needed_mib).unwrap_or(usize::MAX);
        if at_once == 0 {
            return Err(PoolError::TooLittleMemory { needed_mib, memory_mib });
        }
        let threads = threads.clamp(1, at_once);
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads {
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || work_off(&queue))
                .map_err(PoolError::Thread)?;
        }
        let memory = Arc::new(Semaphore::new(usize::try_from(memory_mib).unwrap_or(Semaphore::MAX_PERMITS)));
        // Where waiting is allowed, each thread has the next job at hand when it has done one: who is woken for it only
        // then comes late, for a busy service has others to wake too.
        let turns = if queue_wait.is_zero() { threads } else { threads * 2 };
        let (turns, line) = (Arc::new(Semaphore::new(turns)), Arc::new(Line::new(threads)));
        Ok(Self { scheme, memory_mib, queue_wait, random, line, memory, turns, jobs })
    }

    /// Runs `work`, which holds `memory_mib`, when its turn comes.
    async fn run<T: Send + 'static>(
        &self,
        memory_mib: u32,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let turn = tokio::time::timeout(self.queue_wait, self.turn(memory_mib))
            .await
            .map_err(|_| HashError::Overloaded { retry_after: self.queue_wait.max(Duration::from_secs(1)) })?
            .map_err(failed)?;
        let (answer, answered) = oneshot::channel();
        let line = self.line.clone();
        let job = move || {
            if answer.is_closed() {
                return;
            }
            let began = Instant::now();
            let outcome = work();
            line.took(began.elapsed());
            drop(turn);
            // Whoever asked may be gone by now.
            let _ = answer.send(outcome);
        };
        self.jobs.send(Box::new(job)).map_err(|_| failed("the hashing threads have ended"))?;
        answered.await.map_err(|_| failed("the hashing thread panicked"))
    }

    /// Waits for a turn, then for the memory. Both queues are fair.
    async fn turn(&self, memory_mib: u32) -> Result<Turn, AcquireError> {
        let turn = self.turns.clone().acquire_owned().await?;
        let memory = self.memory.clone().acquire_many_owned(memory_mib).await?;
        Ok(Turn { _memory: memory, _turn: turn })
    }

    /// Reads a stored hash that can be verified here.
    fn read(&self, hash: &PasswordHash) -> Result<Stored, UnusableHash> {
        match Stored::parse(hash.as_str()) {
            Ok(stored) if stored.memory_mib() <= self.memory_mib => Ok(stored),
            Ok(_) => Err(UnusableHash("it takes more memory than all hashes together may".to_owned())),
            Err(fault) => Err(UnusableHash(fault.to_string())),
        }
    }
}

#[async_trait]
impl PasswordHasher for PasswordPool {
    fn place(&self) -> Result<HashPlace, HashError> {
        // The rest is for waits that turn out longer than expected.
        let bearable = self.queue_wait / 2;
        match self.line.join(bearable) {
            Ok(place) => Ok(HashPlace::new(place)),
            Err(expected) => Err(HashError::Overloaded { retry_after: expected.max(Duration::from_secs(1)) }),
        }
    }

    async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let (scheme, salt) = (self.scheme.clone(), self.random.bytes());
        self.run(self.scheme.memory_mib(), move || scheme.hash(password.as_bytes(), &salt))
            .await?
            .map_err(HashError::Failed)
    }

    async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<Verification, HashError> {
        let scheme = self.scheme.clone();
        let stored = hash.and_then(|hash| match self.read(&hash) {
            Ok(stored) => Some(stored),
            Err(fault) => {
                tracing::warn!(password_hash.fault = %fault, "a stored password hash cannot be verified");
                None
            }
        });
        let memory_mib = stored.as_ref().map_or(scheme.memory_mib(), Stored::memory_mib);
        self.run(memory_mib, move || check(&scheme, password.as_bytes(), stored.as_ref()))
            .await?
            .map_err(HashError::Failed)
    }

    fn judge(&self, hash: &PasswordHash) -> Result<(), UnusableHash> {
        self.read(hash).map(drop)
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The right to run: the memory and a turn at a thread, given back together.
struct Turn {
    _memory: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

fn check(scheme: &HashScheme, password: &[u8], stored: Option<&Stored>) -> Result<Verification, Cause> {
    let Some(stored) = stored else {
        scheme.work_for_nothing(password)?;
        return Ok(Verification::Mismatch);
    };
    Ok(match stored.verify(password)? {
        true if stored.is_made_by(scheme) => Verification::Match,
        true => Verification::MatchOutdated,
        false => Verification::Mismatch,
    })
}

fn work_off(queue: &Mutex<Receiver<Job>>) {
    yield_to_others();
    loop {
        // The lock is held while waiting, not while working.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A panic has been reported by the hook, and reaches whoever asked as a dropped answer.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// How much nicer than the rest the threads are.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// Makes the calling thread nicer, so that requests which need no hash go first: on a busy core they then
/// get three quarters of it.
#[cfg(target_os = "linux")]
fn yield_to_others() {
    use rustix::process::{getpriority_process, setpriority_process};
    // On Linux, no process id means the calling thread (setpriority(2), "C library/kernel differences").
    let nicer = getpriority_process(None).and_then(|nice| setpriority_process(None, (nice + NICER).min(19)));
    if let Err(error) = nicer {
        tracing::debug!(%error, "password hashing runs at normal priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn yield_to_others() {}

fn failed(cause: impl Into<Cause>) -> HashError {
    HashError::Failed(cause.into())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use identsphere_testkit::SeededRandom;

    use super::*;

    const PATIENT: Duration = Duration::from_secs(600);

    fn pool(memory_mib: u32, threads: usize, queue_wait: Duration) -> PasswordPool {
        let scheme = HashScheme::below_floor_for_tests("scrypt:ln=4,r=8,p=1").unwrap();
        let config = PoolConfig { scheme, memory_mib, queue_wait, threads };
        PasswordPool::start(config, Arc::new(SeededRandom::new(1))).unwrap()
    }

    /// Work that says when it begins and ends when it is told to.
    struct Gate {
        began: oneshot::Receiver<()>,
        open: mpsc::Sender<()>,
    }

    fn gate() -> (Gate, impl FnOnce() + Send + 'static) {
        let (begin, began) = oneshot::channel();
        let (open, opened) = mpsc::channel::<()>();
        let work = move || {
            let _ = begin.send(());
            let _ = opened.recv();
        };
        (Gate { began, open }, work)
    }

    /// How long the calling thread has run on a core, in nanoseconds (proc_pid_schedstat: the first number). What else
    /// the machine does is not in it.
    #[cfg(target_os = "linux")]
    fn nanos_on_core() -> u64 {
        let numbers = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        numbers.split(' ').next().unwrap().parse().unwrap()
    }

    /// AU-02.
    #[cfg(target_os = "linux")]
    #[test]
    fn without_a_hash_a_check_is_as_much_work_as_with_one() {
        let scheme = HashScheme::parse("argon2id:m=19456,t=2,p=1").unwrap();
        let stored = scheme.hash(b"correct horse battery", &[1; 16]).unwrap();
        let stored = Stored::parse(stored.as_str()).unwrap();
        let mut work = [0, 0];
        for _ in 0..10 {
            for (work, stored) in work.iter_mut().zip([Some(&stored), None]) {
                let before = nanos_on_core();
                let found = check(&scheme, b"a wrong password", stored).unwrap();
                *work += nanos_on_core() - before;
                assert_eq!(found, Verification::Mismatch);
            }
        }
        let [known, unknown] = work;
        assert!(unknown * 2 > known && known * 2 > unknown, "{known} and {unknown} ns");
    }

    #[tokio::test]
    async fn hashes_never_hold_more_memory_than_allowed() {
        let pool = pool(7, 4, PATIENT);
        let (held, most, ran) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        let counts = Arc::new((held, most, ran));
        let work = (0..200u32).map(|number| {
            let (mib, counts) = (number % 5 + 1, counts.clone());
            pool.run(mib, move || {
                let (held, most, ran) = &*counts;
                most.fetch_max(held.fetch_add(mib, Ordering::SeqCst) + mib, Ordering::SeqCst);
                thread::yield_now();
                held.fetch_sub(mib, Ordering::SeqCst);
                ran.fetch_add(1, Ordering::SeqCst);
            })
        });
        join_all(work).await.into_iter().for_each(|outcome| outcome.unwrap());
        assert_eq!(counts.2.load(Ordering::SeqCst), 200);
        assert!(counts.1.load(Ordering::SeqCst) <= 7);
        assert_eq!(pool.memory.available_permits(), 7);
    }

    #[tokio::test]
    async fn a_request_that_finds_all_memory_taken_is_sent_away() {
        let pool = pool(4, 4, Duration::ZERO);
        let (gate, work) = gate();
        let (first, ()) = futures::join!(pool.run(3, work), async {
            gate.began.await.unwrap();
            let refused = pool.run(2, || ()).await.unwrap_err();
            assert!(
                matches!(refused, HashError::Overloaded { retry_after } if retry_after == Duration::from_secs(1))
            );
            pool.run(1, || ()).await.expect("one MiB and a thread are free");
            gate.open.send(()).unwrap();
        });
        first.unwrap();
        pool.run(4, || ()).await.expect("all memory is free again");
    }

    #[tokio::test]
    async fn a_request_that_finds_all_threads_at_work_is_sent_away() {
        let pool = pool(512, 1, Duration::ZERO);
        let (gate, work) = gate();
        let (first, ()) = futures::join!(pool.run(1, work), async {
            gate.began.await.unwrap();
            assert!(matches!(pool.run(1, || ()).await, Err(HashError::Overloaded { .. })));
            gate.open.send(()).unwrap();
        });
        first.unwrap();
    }

    #[tokio::test]
    async fn a_queue_that_cannot_be_worked_off_in_time_takes_nobody_more() {
        let pool = pool(512, 2, Duration::from_secs(4));
        pool.line.took(Duration::from_secs(1));
        let held: Vec<_> = (0..64).map_while(|_| pool.place().ok()).collect();
        // Two are worked on, and half of the four seconds is long enough for four more.
        assert_eq!(held.len(), 6);
        let refused = pool.place().unwrap_err();
        let HashError::Overloaded { retry_after } = refused else { panic!("{refused}") };
        assert_eq!(retry_after, Duration::from_millis(2_500));
        drop(held);
        let _free = pool.place().expect("whoever goes away leaves a place");
    }

    #[tokio::test]
    async fn without_a_queue_there_are_as_many_places_as_threads() {
        let pool = pool(512, 2, Duration::ZERO);
        let _both = (pool.place().unwrap(), pool.place().unwrap());
        assert!(matches!(pool.place(), Err(HashError::Overloaded { .. })));
    }

    /// DS-13: the memory belongs to the work, not to whoever waits for it.
    #[tokio::test]
    async fn a_client_that_goes_away_frees_nothing_that_is_still_in_use() {
        let pool = Arc::new(pool(4, 4, Duration::ZERO));
        let (gate, work) = gate();
        let client = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(4, work).await }
        });
        gate.began.await.unwrap();
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());

        assert_eq!(pool.memory.available_permits(), 0);
        assert!(matches!(pool.run(1, || ()).await, Err(HashError::Overloaded { .. })));
        gate.open.send(()).unwrap();
        let _all = pool.memory.acquire_many(4).await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_while_it_waits_is_never_hashed() {
        let pool = pool(4, 1, PATIENT);
        let ran = Arc::new(AtomicU32::new(0));
        let count = |ran: &Arc<AtomicU32>| {
            let ran = ran.clone();
            move || ran.fetch_add(1, Ordering::SeqCst)
        };
        let (gate, work) = gate();
        let (first, ()) = futures::join!(pool.run(1, work), async {
            gate.began.await.unwrap();
            let mut waiting = Box::pin(pool.run(1, count(&ran)));
            assert!(futures::poll!(&mut waiting).is_pending());
            drop(waiting);
            gate.open.send(()).unwrap();
        });
        first.unwrap();
        pool.run(1, count(&ran)).await.unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }

    /// D-34.
    #[tokio::test]
    async fn a_panic_costs_one_request_and_no_thread() {
        let pool = pool(4, 1, PATIENT);
        assert!(matches!(pool.run(4, || panic!("on purpose")).await, Err(HashError::Failed(_))));
        assert_eq!(pool.run(4, || 7).await.unwrap(), 7);
    }

    #[test]
    fn a_pool_that_could_not_hash_at_all_does_not_start() {
        let scheme = HashScheme::parse(HashScheme::DEFAULT).unwrap();
        let config = PoolConfig { scheme, memory_mib: 31, queue_wait: PATIENT, threads: 4 };
        let error = PasswordPool::start(config, Arc::new(SeededRandom::new(1))).err().unwrap();
        assert_eq!(
            error.to_string(),
            "one password hash takes 32 MiB, but all together may take 31 MiB only"
        );
    }

    #[tokio::test]
    async fn no_more_threads_run_than_the_memory_is_enough_for() {
        assert_eq!(pool(2, 64, Duration::ZERO).turns.available_permits(), 2);
        assert_eq!(pool(512, 0, Duration::ZERO).turns.available_permits(), 1);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_is_nicer_than_everything_else() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let hashing = pool(4, 1, PATIENT).run(1, nice).await.unwrap();
        assert_eq!(hashing, (nice() + NICER).min(19));
    }
}
