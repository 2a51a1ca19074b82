//! Supervision, as the code that starts a task uses it.

use std::sync::atomic::AtomicU64;

use super::*;
use amphi_media::MediaTime;
use amphi_media::clock::ManualClock;

fn tasks() -> Tasks {
    Tasks::new(Arc::new(ManualClock::at(MediaTime::from_millis(1_795_000_000_000))))
}

/// Helps the compiler to infer the closure's lifetime.
fn work<S, W: for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()>>(work: W) -> W {
    work
}

#[tokio::test(start_paused = true)]
async fn what_a_task_needs_survives_its_falls() {
    let (tasks, end) = (tasks(), CancellationToken::new());
    let task = tasks.begin("counter", true);
    let until = Until::Cancelled(end.clone());
    let told = Arc::new(AtomicU64::new(0));
    let work = work(|state: &mut (u64, CancellationToken)| {
        Box::pin(async move {
            state.0 += 1;
            match state.0 {
                1 => panic!("the first run"),
                2 => {}
                3 => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    panic!("after a while");
                }
                _ => state.1.cancelled().await,
            }
        })
    });
    let mend = {
        let told = Arc::clone(&told);
        move |_: &mut _, _: &str| {
            told.fetch_add(1, Ordering::Relaxed);
        }
    };
    let running = tokio::spawn(task.supervise((0, end.clone()), until, work, mend));
    let mut falls = tasks.falls();
    falls.wait_for(|falls| *falls == 3).await.expect("it lives");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let view = tasks.all().remove(0);
    assert_eq!((view.state, view.restarts), (TaskState::Running, 3));
    assert!(view.last_reason.expect("a reason").starts_with("after a while"));
    assert_eq!(told.load(Ordering::Relaxed), 3);
    assert!(tasks.fallen()[0].sentence.ends_with("it was started again"));
    end.cancel();
    running.await.expect("it ends when it is asked");
    assert!(tasks.all().is_empty());
}

#[tokio::test]
async fn a_task_is_ended_by_its_name() {
    let (tasks, end) = (tasks(), CancellationToken::new());
    assert!(!tasks.strike("idle"));
    let task = tasks.begin("idle", false);
    let work = work(|(): &mut ()| Box::pin(std::future::pending()));
    let running = tokio::spawn(task.supervise((), Until::Cancelled(end.clone()), work, |(), _| {}));
    let mut falls = tasks.falls();
    for count in 1..=2 {
        assert!(tasks.strike("idle"));
        falls.wait_for(|falls| *falls == count).await.expect("it lives");
        while tasks.all()[0].state != TaskState::Running {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(tasks.restarts(), [(Arc::from("idle"), 2)]);
    // Also during the pause.
    running.abort();
    assert!(running.await.is_err());
    assert!(tasks.all().is_empty());
}

#[tokio::test]
async fn work_that_may_be_done_ends_when_it_is() {
    let tasks = tasks();
    let work = work(|runs: &mut u32| {
        *runs += 1;
        let first = *runs == 1;
        Box::pin(async move { assert!(!first, "the first time") })
    });
    tasks.begin("owner", true).supervise(0, Until::Done, work, |_, _| {}).await;
    assert_eq!(tasks.restarts(), [(Arc::from("owner"), 1)]);
    let once = tasks.begin("once", false);
    let why = once.attempt(async { panic!("not yet") }).await.map(|(): ()| ()).expect_err("a panic");
    once.again(&why).await;
    assert_eq!(once.attempt(async { 3 }).await, Ok(3));
    once.gives_back("enough");
    assert_eq!((tasks.restarts()[0].1, tasks.all().len()), (2, 0));
}

#[test]
fn a_thread_that_falls_lies_until_it_is_started_anew() {
    let tasks = tasks();
    let run = |body: fn(&Task)| {
        let task = tasks.begin("rung", false);
        std::thread::spawn(move || task.thread(body)).join().expect("the panic is caught");
    };
    run(|_| {});
    assert!(tasks.all().is_empty());
    run(|_| panic!("a fault"));
    assert_eq!(tasks.all()[0].state, TaskState::Restarting);
    run(super::Task::pass);
    assert_eq!(tasks.restarts(), [(Arc::from("rung"), 1)]);
}
