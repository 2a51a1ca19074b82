//! The task that owns the matrix, and the handle that all others hold.
//!
//! A command is carried out, shown in the view, saved and answered, in this order. If saving fails (a full disk), the
//! command is still in effect: viewers come first. The error is logged, the answer carries a warning, and saving is repeated
//! after waits of a second to a minute; [`MatrixHandle::unsaved`] is set until it succeeds.
//!
//! The task ends when the last handle is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot, watch};

use super::command::{Applied, Command, MatrixError, Notice, Scheduled};
use super::mail::{Mail, Reports};
use super::state::{Layout, Matrix};
use super::status::{OnAir, SourceOutcome, SourceStatus};
use super::store::{Override, Store};
use super::view::MatrixView;
use amphi_media::clock::WallClock;
use amphi_media::meter::Note;
use amphi_media::retry::Retry;
use amphi_media::{ChannelName, MediaTime, SourceName};

/// Commands that may wait; a caller with one more waits until there is room.
const QUEUE: usize = 64;

/// The longest sleep until an expiry: the wall clock may be stepped meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The first wait after a save that failed; it doubles up to [`RARELY`].
const TRY_AGAIN: Duration = Duration::from_secs(1);
const RARELY: Duration = Duration::from_secs(60);

enum OwnerRequest {
    Obey { command: Command, reply: oneshot::Sender<Result<Applied, MatrixError>> },
    Relayout { layout: Layout, zone: TimeZone, done: oneshot::Sender<()> },
}

/// Sends commands and reports to the matrix, and reads its view. Clones share the matrix.
#[derive(Clone, Debug)]
pub struct MatrixHandle {
    requests: mpsc::Sender<OwnerRequest>,
    mail: Arc<Mail>,
    view: watch::Receiver<Arc<MatrixView>>,
    unsaved: Arc<Note>,
}

/// Called with every override that has expired.
pub type OnExpiry = Box<dyn Fn(&Override) + Send>;

/// Starts the task that owns a matrix with explanations in the time of UTC; nobody is told of overrides that end.
#[cfg(any(test, feature = "testing"))]
pub fn spawn(
    layout: Layout,
    store: impl Store,
    clock: Arc<dyn WallClock>,
) -> (MatrixHandle, tokio::task::JoinHandle<()>) {
    let (handle, mut owner) = prepare(layout, store, clock, TimeZone::UTC, Box::new(|_| {}));
    (handle, tokio::spawn(async move { owner.run().await }))
}

/// A matrix of `layout` with the overrides that `store` has saved and explanations in the time of `zone`, and its owner, which
/// is run, and run again after a panic. `expired` is called for overrides that expire, also for those that expired while the
/// server was down. The handle's view is complete from the start. Reads `store` before it returns.
pub fn prepare(
    layout: Layout,
    store: impl Store,
    clock: Arc<dyn WallClock>,
    zone: TimeZone,
    expired: OnExpiry,
) -> (MatrixHandle, Owner) {
    let now = clock.now();
    let mut matrix = Matrix::new(layout, now).in_zone(zone);
    let kept = store.load();
    for warning in matrix.restore(kept.clone(), now) {
        tracing::warn!("{warning}");
    }
    matrix.take_expired().iter().for_each(&expired);
    let (requests, inbox) = mpsc::channel(QUEUE);
    let mail = Arc::new(Mail::default());
    let (shown, view) = watch::channel(Arc::new(matrix.view()));
    let (unsaved, retry) = (Arc::<Note>::default(), Retry::new(TRY_AGAIN, RARELY));
    let handle = MatrixHandle { requests, mail: Arc::clone(&mail), view, unsaved: Arc::clone(&unsaved) };
    let store = Arc::new(store);
    (handle, Owner { matrix, inbox, mail, store, kept, clock, shown, expired, retry, unsaved })
}

impl MatrixHandle {
    /// Manual override: puts `source` on `channel`, perhaps only `until` a given time.
    pub async fn connect(
        &self,
        channel: &ChannelName,
        source: &SourceName,
        until: Option<MediaTime>,
    ) -> Result<Applied, MatrixError> {
        self.tell(Command::Connect { channel: channel.clone(), source: source.clone(), until }).await
    }

    /// Manual override: shows the waiting loop on `channel`, until it is cleared.
    pub async fn disconnect(&self, channel: &ChannelName) -> Result<Applied, MatrixError> {
        self.tell(Command::Disconnect { channel: channel.clone() }).await
    }

    /// Ends the manual override: `channel` goes back to the schedule or the configuration.
    pub async fn clear_override(&self, channel: &ChannelName) -> Result<Applied, MatrixError> {
        self.tell(Command::ClearOverride { channel: channel.clone() }).await
    }

    /// Sets the text of a channel's waiting picture by hand; `None` removes it.
    pub async fn set_notice(
        &self,
        channel: &ChannelName,
        notice: Option<Notice>,
    ) -> Result<Applied, MatrixError> {
        self.tell(Command::Notice { channel: channel.clone(), notice }).await
    }

    /// Sets the text of a channel's waiting picture that is shown while none is set by hand; `None` removes it.
    pub async fn announce(
        &self,
        channel: &ChannelName,
        notice: Option<Notice>,
    ) -> Result<Applied, MatrixError> {
        self.tell(Command::Announce { channel: channel.clone(), notice }).await
    }

    /// Sets what the schedule wants on `channel` from now on.
    pub async fn set_scheduled(
        &self,
        channel: &ChannelName,
        scheduled: Option<Scheduled>,
    ) -> Result<Applied, MatrixError> {
        self.tell(Command::Schedule { channel: channel.clone(), scheduled }).await
    }

    /// Reports the status of a source. Never waits; only the latest report of a source counts.
    pub fn source_status(&self, source: &SourceName, status: SourceStatus) {
        self.mail.source_status(source, status);
    }

    /// Reports whether a source's pictures and sound come out. Never waits; only the latest report of a source counts.
    pub fn source_outcome(&self, source: &SourceName, outcome: SourceOutcome) {
        self.mail.source_outcome(source, outcome);
    }

    /// Reports what a channel shows. Never waits; only the latest report of a channel counts.
    pub fn on_air(&self, channel: &ChannelName, on_air: OnAir) {
        self.mail.on_air(channel, on_air);
    }

    /// Set while overrides cannot be saved: a sentence with the reason.
    pub fn unsaved(&self) -> Arc<Note> {
        Arc::clone(&self.unsaved)
    }

    /// The matrix as it is now.
    pub fn view(&self) -> Arc<MatrixView> {
        Arc::clone(&self.view.borrow())
    }

    /// The matrix now and at every change; a slow reader sees only the latest. The sender is dropped with the matrix.
    pub fn watch(&self) -> watch::Receiver<Arc<MatrixView>> {
        self.view.clone()
    }

    /// Changes the channels and sources ([`Matrix::relayout`]), and the time zone of explanations.
    pub async fn relayout(&self, layout: Layout, zone: TimeZone) -> Result<(), MatrixError> {
        let (done, answer) = oneshot::channel();
        self.requests
            .send(OwnerRequest::Relayout { layout, zone, done })
            .await
            .map_err(|_| MatrixError::Ended)?;
        answer.await.map_err(|_| MatrixError::Ended)
    }

    async fn tell(&self, command: Command) -> Result<Applied, MatrixError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(OwnerRequest::Obey { command, reply }).await.map_err(|_| MatrixError::Ended)?;
        answer.await.map_err(|_| MatrixError::Ended)?
    }
}

/// The state of the task that owns the matrix.
pub struct Owner {
    matrix: Matrix,
    inbox: mpsc::Receiver<OwnerRequest>,
    mail: Arc<Mail>,
    store: Arc<dyn Store>,
    /// The overrides that were saved last.
    kept: Vec<Override>,
    clock: Arc<dyn WallClock>,
    shown: watch::Sender<Arc<MatrixView>>,
    expired: OnExpiry,
    retry: Retry,
    unsaved: Arc<Note>,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Owner")
    }
}

impl Owner {
    /// Takes commands, reports and expiries until the last handle is dropped. A command that is being carried out when a run
    /// panics is answered with [`MatrixError::Ended`].
    pub async fn run(&mut self) {
        // An earlier run may have panicked after a command and before saving.
        self.keep().await;
        let mail = Arc::clone(&self.mail);
        loop {
            let expiry = self.matrix.next_expiry();
            let wait = expiry.map_or(LONGEST_SLEEP, |at| at.saturating_since(self.clock.now()));
            let again = self.retry.wait(now());
            tokio::select! {
                request = self.inbox.recv() => {
                    let Some(request) = request else {
                        // One last attempt, without waiting.
                        self.keep().await;
                        return;
                    };
                    self.serve(request).await;
                }
                reports = mail.collect() => self.hear(reports),
                () = tokio::time::sleep(wait.min(LONGEST_SLEEP)), if expiry.is_some() => self.expire().await,
                () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => drop(self.keep().await),
            }
        }
    }

    async fn serve(&mut self, request: OwnerRequest) {
        let now = self.clock.now();
        // The caller may have gone; the command is in effect all the same.
        match request {
            OwnerRequest::Obey { command, reply } => {
                let applied = self.matrix.apply(command, now);
                self.show();
                let warning = self.keep().await;
                let _ = reply.send(applied.map(|channel| Applied { channel, warning }));
            }
            OwnerRequest::Relayout { layout, zone, done } => {
                self.matrix.relayout(layout, now);
                self.matrix.set_zone(zone);
                self.show();
                self.keep().await;
                let _ = done.send(());
            }
        }
    }

    fn hear(&mut self, reports: Reports) {
        for (source, status) in reports.sources {
            self.matrix.source_status(&source, status);
        }
        for (source, outcome) in reports.outcomes {
            self.matrix.source_outcome(&source, outcome, self.clock.now());
        }
        for (channel, on_air) in reports.channels {
            self.matrix.on_air(&channel, on_air);
        }
        self.show();
    }

    async fn expire(&mut self) {
        let before = self.matrix.next_expiry();
        self.matrix.tick(self.clock.now());
        if self.matrix.next_expiry() != before {
            self.show();
            self.keep().await;
        }
    }

    /// Publishes the view if it has changed, and reports overrides that have expired.
    fn show(&mut self) {
        self.matrix.take_expired().iter().for_each(&self.expired);
        let view = self.matrix.view();
        self.shown.send_if_modified(|shown| {
            let changed = **shown != view;
            if changed {
                *shown = Arc::new(view);
            }
            changed
        });
    }

    /// Saves the overrides if they have changed. Returns the warning for the caller if that fails.
    async fn keep(&mut self) -> Option<String> {
        let overrides = self.matrix.overrides();
        if overrides == self.kept {
            self.saved();
            return None;
        }
        let store = Arc::clone(&self.store);
        let saving = overrides.clone();
        let saved = tokio::task::spawn_blocking(move || store.save(&saving)).await;
        match saved.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(()) => {
                self.kept = overrides;
                self.saved();
                None
            }
            Err(error) => {
                if self.retry.wait(now()).is_none() {
                    tracing::error!(%error, "overrides could not be saved; trying again until they are");
                }
                self.retry.failed(now());
                let said = "manual overrides are in effect but could not be saved, a restart would lose them";
                self.unsaved.set(&format!("{said}: {error}"));
                Some(format!("in effect, but it would not outlive a restart: it could not be saved: {error}"))
            }
        }
    }
}

impl Owner {
    fn saved(&mut self) {
        if self.retry.worked() {
            self.unsaved.clear();
            tracing::info!("overrides are saved again");
        }
    }
}

/// The time of tokio's clock, which tests can move.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::task::JoinHandle;

    use super::super::state::ChannelLayout;
    use super::super::status::SourceState;
    use super::super::view::By;
    use super::*;
    use amphi_media::clock::ManualClock;

    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    #[derive(Clone, Default)]
    struct Memory(Arc<(Mutex<Vec<Override>>, AtomicBool)>);

    impl Store for Memory {
        fn load(&self) -> Vec<Override> {
            self.0.0.lock().expect("unpoisoned").clone()
        }

        fn save(&self, overrides: &[Override]) -> io::Result<()> {
            if self.0.1.load(Ordering::Relaxed) {
                return Err(io::Error::other("the disk is full"));
            }
            *self.0.0.lock().expect("unpoisoned") = overrides.to_vec();
            Ok(())
        }
    }

    fn layout() -> Layout {
        let channel = |name: &str| ChannelLayout { name: name.into(), ..ChannelLayout::default() };
        Layout { channels: vec![channel("a"), channel("b")], sources: vec!["s".into()] }
    }

    fn start(store: &Memory) -> (MatrixHandle, JoinHandle<()>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(START));
        let (handle, task) = spawn(layout(), store.clone(), Arc::clone(&clock) as Arc<dyn WallClock>);
        (handle, task, clock)
    }

    #[tokio::test]
    async fn a_command_is_obeyed_shown_kept_and_answered() {
        let store = Memory::default();
        let (matrix, task, _) = start(&store);
        let mut watch = matrix.watch();
        let applied = matrix.connect(&"a".into(), &"s".into(), None).await.expect("both are known");
        assert_eq!(applied.warning, None);
        assert_eq!(applied.channel.desired.source.as_deref(), Some("s"));
        assert!(watch.has_changed().expect("it lives") && watch.borrow_and_update().wanted("s"));
        assert_eq!(store.load().len(), 1);
        assert_eq!(
            matrix.connect(&"x".into(), &"s".into(), None).await,
            Err(MatrixError::UnknownChannel("x".into()))
        );

        drop((matrix, watch));
        task.await.expect("it ends with its handles");
        let (matrix, ..) = start(&store);
        assert_eq!(matrix.view().channel("a").expect("it is there").desired.by, By::Manual);
        matrix.clear_override(&"a".into()).await.expect("it is known");
        assert_eq!(store.load(), []);
    }

    #[tokio::test]
    async fn a_command_that_cannot_be_kept_holds_and_is_kept_later() {
        let store = Memory::default();
        let (matrix, ..) = start(&store);
        store.0.1.store(true, Ordering::Relaxed);
        let applied = matrix.connect(&"a".into(), &"s".into(), None).await.expect("both are known");
        assert!(applied.warning.expect("a warning").ends_with("the disk is full"));
        assert!(matrix.view().wanted("s"));
        store.0.1.store(false, Ordering::Relaxed);
        assert_eq!(matrix.disconnect(&"b".into()).await.expect("it is known").warning, None);
        assert_eq!(store.load().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_kept_is_kept_without_another_command() {
        let store = Memory::default();
        let (matrix, task, _) = start(&store);
        store.0.1.store(true, Ordering::Relaxed);
        matrix.connect(&"a".into(), &"s".into(), None).await.expect("both are known");
        let said = matrix.unsaved().get().expect("it is said");
        assert!(said.ends_with("the disk is full"), "{said}");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!((store.load(), matrix.unsaved().get().is_some()), (Vec::new(), true));
        store.0.1.store(false, Ordering::Relaxed);
        tokio::time::sleep(RARELY).await;
        assert_eq!((store.load().len(), matrix.unsaved().get()), (1, None));
        // Cleared before it could be saved: then there is nothing to save.
        store.0.1.store(true, Ordering::Relaxed);
        matrix.connect(&"b".into(), &"s".into(), None).await.expect("both are known");
        matrix.clear_override(&"b".into()).await.expect("it is known");
        assert_eq!(matrix.unsaved().get(), None);
        drop(matrix);
        task.await.expect("it ends with its handles");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_broken_run_has_not_kept_is_kept_by_the_next_or_at_the_end() {
        let store = Memory::default();
        let clock = Arc::new(ManualClock::at(START));
        let wall = Arc::clone(&clock) as Arc<dyn WallClock>;
        let (handle, mut owner) = prepare(layout(), store.clone(), wall, TimeZone::UTC, Box::new(|_| {}));
        let command = Command::Connect { channel: "a".into(), source: "s".into(), until: None };
        owner.matrix.apply(command, clock.now()).expect("obeyed");
        let _ = tokio::time::timeout(Duration::from_secs(1), owner.run()).await;
        assert_eq!(store.load().len(), 1, "the next run keeps it");
        owner.matrix.apply(Command::ClearOverride { channel: "a".into() }, clock.now()).expect("obeyed");
        drop(handle);
        owner.run().await;
        assert!(store.load().is_empty());
    }

    #[tokio::test]
    async fn an_override_expires_without_being_asked() {
        let store = Memory::default();
        let (matrix, _, clock) = start(&store);
        let until = START + Duration::from_millis(20);
        matrix.connect(&"a".into(), &"s".into(), Some(until)).await.expect("both are known");
        let mut watch = matrix.watch();
        clock.advance(Duration::from_millis(20));
        let freed = watch.wait_for(|view| !view.wanted("s")).await.expect("it lives").clone();
        assert_eq!(freed.channel("a").expect("it is there").desired.by, By::None);
        matrix.clear_override(&"b".into()).await.expect("it is known");
        assert_eq!(store.load(), [], "the expired override is forgotten");
    }

    #[tokio::test]
    async fn whoever_wants_to_know_is_told_of_overrides_that_end() {
        let (store, clock) = (Memory::default(), Arc::new(ManualClock::at(START)));
        let told = Arc::new(Mutex::new(Vec::new()));
        let start = || {
            let told = Arc::clone(&told);
            let tell =
                Box::new(move |it: &Override| told.lock().expect("unpoisoned").push(it.channel.clone()));
            let (matrix, mut owner) =
                prepare(layout(), store.clone(), Arc::clone(&clock) as _, TimeZone::UTC, tell);
            (matrix, tokio::spawn(async move { owner.run().await }))
        };
        let (matrix, task) = start();
        let until = |ms| Some(START + Duration::from_millis(ms));
        matrix.connect(&"a".into(), &"s".into(), until(10)).await.expect("both are known");
        matrix.connect(&"b".into(), &"s".into(), until(20_000)).await.expect("both are known");
        clock.advance(Duration::from_millis(10));
        // A command arrives before the task has noticed the expiry.
        matrix.set_notice(&"a".into(), None).await.expect("known");
        assert_eq!(*told.lock().expect("unpoisoned"), ["a"]);
        drop(matrix);
        task.await.expect("it ends with its handles");
        clock.advance(Duration::from_secs(30));
        let _again = start();
        assert_eq!(*told.lock().expect("unpoisoned"), ["a", "b"], "one that ended while nobody was there");
    }

    #[tokio::test]
    async fn reports_are_shown() {
        let (matrix, ..) = start(&Memory::default());
        let mut watch = matrix.watch();
        for connects in 1..=1000 {
            let status = SourceStatus { state: SourceState::Live, connects, ..SourceStatus::idle(START) };
            matrix.source_status(&"s".into(), status);
        }
        matrix.on_air(&"b".into(), OnAir { source: Some("s".into()), reason: String::new(), since: START });
        matrix.on_air(&"unknown".into(), OnAir { source: None, reason: String::new(), since: START });
        let both = |view: &Arc<MatrixView>| {
            view.source("s").is_some_and(|source| source.status.connects == 1000)
                && view.channel("b").is_some_and(|channel| channel.on_air.source.is_some())
        };
        watch.wait_for(both).await.expect("it lives");
    }
}
