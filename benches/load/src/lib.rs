//! What the programs of this crate share.

use std::collections::HashMap;
use std::fs;
use std::io::Result;

/// How long each thread of a process has been on a processor (`/proc/PID/task/TID/schedstat`, in nanoseconds).
///
/// Finer than the ticks of `/proc/PID/stat`, so that a few milliseconds can be measured. What a thread used that ended
/// between two looks is not seen: threads of a pool that is busy do not end.
pub struct CpuTimes(HashMap<String, u64>);

impl CpuTimes {
    /// As it is now.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: &str) -> Result<Self> {
        let mut times = HashMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?;
            // A thread may end between the listing and the look.
            let Ok(schedstat) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            times.insert(task.file_name().to_string_lossy().into_owned(), nanoseconds(&schedstat));
        }
        Ok(Self(times))
    }

    /// Milliseconds that the calling thread has spent so far.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn of_this_thread() -> Result<f64> {
        Ok(nanoseconds(&fs::read_to_string("/proc/thread-self/schedstat")?) as f64 / 1e6)
    }

    /// Milliseconds that were spent since `before`.
    pub fn since(&self, before: &Self) -> f64 {
        let spent = |(thread, now): (&String, &u64)| now.saturating_sub(*before.0.get(thread).unwrap_or(&0));
        self.0.iter().map(spent).sum::<u64>() as f64 / 1e6
    }
}

/// The first number of a schedstat: nanoseconds on a processor.
fn nanoseconds(schedstat: &str) -> u64 {
    schedstat.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0)
}
