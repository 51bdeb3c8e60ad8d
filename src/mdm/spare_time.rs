//! Time that nobody else wants: what a list costs is spent when no request, and no lookup that one waits for, needs the core.
//!
//! Owns the thread for that and its priority. What is done in it takes no lock that others need: it may stand still in the
//! middle of anything for as long as they have work.

use std::{future::Future, io, panic, sync::Arc, thread};

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
};
use tracing::debug;

/// Its name, as `top -H` shows it.
const THREAD: &str = "radmit-spare";

/// Runs what nobody waits for. Cloning is cheap; the thread ends with the last of them.
///
/// A scheduler that is fair is not enough: who was woken for a packet waits for a list's thread whenever it had more than
/// its share lately, however often that one gives way.
#[derive(Clone, Debug)]
pub(super) struct SpareTime {
    thread: Option<Arc<Thread>>,
}

#[derive(Debug)]
struct Thread {
    handle: Handle,
    /// Dropped, it ends the thread.
    // Bound: nothing is ever sent.
    _end: oneshot::Sender<()>,
}

impl SpareTime {
    /// No time of its own: everything is done by whoever waits for it, at his priority.
    pub(super) const fn none() -> Self {
        Self { thread: None }
    }

    /// Whether it is [`Self::none`].
    pub(super) const fn is_none(&self) -> bool {
        self.thread.is_none()
    }

    /// # Errors
    /// The system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let thread = Thread { handle: runtime.handle().clone(), _end: end };
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
            if let Err(error) = step_back() {
                debug!("lists are read at the usual priority: {error}");
            }
            let _ = runtime.block_on(ended);
            // A name that is being resolved is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { thread: Some(Arc::new(thread)) })
    }

    /// Waits until nobody else wanted a core. What may not stand still half done is cut into pieces with this between them: then
    /// each comes at the usual priority, and all together come after everything else.
    pub(super) async fn comes(&self) {
        self.run(async {}).await;
    }

    /// Does `work` and returns what comes of it. It ends half done when this is dropped, and panics as it does.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let Some(thread) = &self.thread else { return work.await };
        let mut set = JoinSet::new();
        set.spawn_on(work, &thread.handle);
        match set.join_next().await {
            Some(Ok(done)) => done,
            Some(Err(failed)) => match failed.try_into_panic() {
                Ok(reason) => panic::resume_unwind(reason),
                // It can't be: what ends tasks is held by `self`.
                Err(_) => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}

/// From now on the calling thread, and those that it starts, run when no other wants the core, and are put aside at once when
/// one does. Source: sched(7), `SCHED_IDLE`.
fn step_back() -> Result<(), thread_priority::Error> {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering::SeqCst},
        time::Duration,
    };

    use super::*;

    /// The name of the calling thread, and its policy (5 is `SCHED_IDLE`; proc(5), field 41 of `stat`).
    fn place() -> (String, String) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("this is Linux");
        let (_, fields) = stat.rsplit_once(')').expect("the name stands in parentheses");
        let policy = fields.split_whitespace().nth(38).expect("there are 52").to_owned();
        (thread::current().name().unwrap_or_default().to_owned(), policy)
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn what_is_done_in_spare_time_comes_after_everything_else() {
        let spare = SpareTime::start().expect("there is a thread");
        let usual = place();
        assert_eq!(spare.run(async { place() }).await, (THREAD.to_owned(), "5".to_owned()));
        assert_eq!(place(), usual, "nobody else's priority changed");
        let of_names = spare.run(async { tokio::task::spawn_blocking(|| place().1).await }).await;
        assert_eq!(of_names.expect("it ends"), "5", "those that it starts too");
        assert_eq!(SpareTime::none().run(async { place() }).await, usual);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_longer_ends() {
        struct Told(Arc<AtomicBool>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.store(true, SeqCst);
            }
        }
        let (spare, ended) = (SpareTime::start().expect("there is a thread"), Arc::new(AtomicBool::new(false)));
        let told = Told(Arc::clone(&ended));
        let endless = spare.run(async move {
            let _told = told;
            std::future::pending::<()>().await;
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
        for _ in 0..500 {
            if ended.load(SeqCst) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it still runs");
    }

    #[tokio::test]
    async fn a_panic_is_that_of_who_waits_and_the_thread_goes_on() {
        let spare = SpareTime::start().expect("there is a thread");
        let of_task = spare.clone();
        let failed = tokio::spawn(async move { of_task.run(async { panic!("on purpose") }).await }).await;
        assert!(failed.is_err_and(|failed| failed.is_panic()));
        assert_eq!(spare.run(async { 7 }).await, 7);
    }
}
