//! The splicer: one decision per cell, live or waiting (sans-IO).
//!
//! Contract. Tell it what happens: [`Splicer::connect`] when the matrix puts another source on the channel,
//! [`Splicer::source_up`] when media begins or ceases to flow, [`Splicer::live_cell`] for each whole cell of
//! the connected source. Call [`Splicer::poll`] until it returns `None`, then again at
//! [`Splicer::wake_at`] or after the next event. It gives exactly one [`Decision`] per cell, in order:
//!
//! * cell *k* is decided no earlier than its end;
//! * a whole live cell is taken as soon as it is there, unless the source was lost less than `hold` ago
//!   (a source that is lost is left at once, and returned to after `hold`);
//! * while the source is up or on air its cell is awaited until `deadline` after the cell's end (a ladder
//!   finishes the cell it has begun); otherwise the waiting cell is taken at once;
//! * if the caller is late by more than twice `window` cells, all but the last `window` of them are left out: no player
//!   can have waited for them, and cell numbers never go back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amphi_media::{CellIndex, CodedCell, Grid, MediaTime, SourceName};

/// Live cells that may wait for their turn.
const READY_LIMIT: usize = 8;

/// Fixed properties of a channel.
#[derive(Clone, Copy, Debug)]
pub struct SplicerOptions {
    /// The grid of cells.
    pub grid: Grid,
    /// How long after its end a live cell may come.
    pub deadline: Duration,
    /// Least time from the loss of a source to its return.
    pub hold: Duration,
    /// How many cells a playlist lists.
    pub window: usize,
}

/// What a cell shows.
#[derive(Clone, Debug)]
pub enum CellChoice {
    /// The connected source.
    Live(Arc<CodedCell>),
    /// The waiting loop.
    Waiting,
}

/// Why a cell shows what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The connected source delivers.
    Live,
    /// No source is connected.
    NotConnected,
    /// The connected source is not up.
    SourceDown,
    /// The source is up, its cell did not come in time.
    CellMissed,
    /// The source is back, but was lost too recently.
    Damped,
}

/// One cell's decision.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The cell, one after that of the decision before unless cells were left out.
    pub k: CellIndex,
    /// Live or waiting.
    pub choice: CellChoice,
    /// Why, for the matrix and the metrics.
    pub why: Why,
    /// The cell before showed the other kind, or another source.
    pub swapped: bool,
}

/// Decides what each cell of one channel shows; the contract is in the module's text.
#[derive(Debug)]
pub struct Splicer {
    options: SplicerOptions,
    next: CellIndex,
    connected: Option<SourceName>,
    up: bool,
    ready: BTreeMap<CellIndex, Arc<CodedCell>>,
    /// `None` = the waiting loop.
    on_air: Option<SourceName>,
    /// The first cell in which the connected source was missed.
    lost_at: Option<CellIndex>,
}

impl Splicer {
    /// A channel whose first cell is `first`, with nothing connected.
    pub const fn new(options: SplicerOptions, first: CellIndex) -> Self {
        Self {
            options,
            next: first,
            connected: None,
            up: false,
            ready: BTreeMap::new(),
            on_air: None,
            lost_at: None,
        }
    }

    /// Connects a source, or none. Cells of the source before are dropped.
    pub fn connect(&mut self, source: Option<&SourceName>) {
        if self.connected.as_ref() != source {
            self.connected = source.cloned();
            self.up = false;
            self.ready.clear();
            // Damping is for sources that flap, not for operators who switch.
            self.lost_at = None;
        }
    }

    /// Media of the connected source flows, or no longer does.
    pub const fn source_up(&mut self, up: bool) {
        self.up = up;
    }

    /// A whole cell of source `source`. One that comes too late, or of another source, is ignored.
    pub fn live_cell(&mut self, source: &SourceName, cell: Arc<CodedCell>) {
        if self.connected.as_ref() != Some(source) || cell.k < self.next {
            return;
        }
        self.ready.insert(cell.k, cell);
        while self.ready.len() > READY_LIMIT {
            self.ready.pop_last();
        }
    }

    /// The next decision that is due.
    pub fn poll(&mut self, now: MediaTime) -> Option<Decision> {
        let Self { options, next, .. } = *self;
        let behind = options.grid.cell_at(now).0 - next.0;
        let window = options.window as i64;
        if behind > 2 * window {
            self.next = CellIndex(next.0 + behind - window);
            self.ready = self.ready.split_off(&self.next);
        }
        let k = self.next;
        if now < options.grid.end(k) {
            return None;
        }
        let ready = self.ready.contains_key(&k);
        let damped = self.on_air.is_none() && self.is_damped(k);
        let awaited = self.is_awaited(k);
        if !ready && awaited && now < options.grid.end(k) + options.deadline {
            return None;
        }
        let (choice, why) = match self.ready.remove(&k) {
            Some(cell) if !damped => (CellChoice::Live(cell), Why::Live),
            Some(_) => (CellChoice::Waiting, Why::Damped),
            None if self.connected.is_none() => (CellChoice::Waiting, Why::NotConnected),
            None if damped => (CellChoice::Waiting, Why::Damped),
            None if !self.up => (CellChoice::Waiting, Why::SourceDown),
            None => (CellChoice::Waiting, Why::CellMissed),
        };
        let shown = if why == Why::Live { self.connected.clone() } else { None };
        let swapped = shown != self.on_air;
        if swapped {
            let lost = shown.is_none() && self.on_air == self.connected;
            self.lost_at = lost.then_some(k);
            self.on_air = shown;
        }
        self.next = k.next();
        Some(Decision { k, choice, why, swapped })
    }

    /// When the next decision is due at the latest.
    pub fn wake_at(&self) -> MediaTime {
        let end = self.options.grid.end(self.next);
        if self.is_awaited(self.next) && !self.ready.contains_key(&self.next) {
            end + self.options.deadline
        } else {
            end
        }
    }

    /// The source on air; `None` = the waiting loop.
    pub const fn on_air(&self) -> Option<&SourceName> {
        self.on_air.as_ref()
    }

    /// Whether it is worth waiting for cell `k`: the source is up, or has just gone down and its ladder is finishing the
    /// cell that was begun.
    fn is_awaited(&self, k: CellIndex) -> bool {
        let finishing = self.on_air.is_some() && self.on_air == self.connected;
        self.connected.is_some() && (finishing || self.up && !self.is_damped(k))
    }

    /// Whether the connected source was lost too recently for cell `k` to return to it.
    fn is_damped(&self, k: CellIndex) -> bool {
        let grid = self.options.grid;
        self.lost_at.is_some_and(|lost| grid.start(k) < grid.start(lost) + self.options.hold)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use amphi_media::TrackCell;

    const GRID: Grid = Grid::new(2000);
    const FIRST: CellIndex = CellIndex(900_000_000);
    const OPTIONS: SplicerOptions = SplicerOptions {
        grid: GRID,
        deadline: Duration::from_secs(1),
        hold: Duration::from_secs(4),
        window: 6,
    };

    fn splicer() -> Splicer {
        Splicer::new(OPTIONS, FIRST)
    }

    fn cell(k: i64) -> Arc<CodedCell> {
        let audio = TrackCell { start: 0, data: Bytes::new(), samples: Arc::new([]) };
        Arc::new(CodedCell { k: CellIndex(k), video: Vec::new(), audio })
    }

    /// Milliseconds after the start of the first cell.
    fn at(ms: i64) -> MediaTime {
        GRID.start(FIRST).offset_nanos(ms * 1_000_000)
    }

    fn whys(splicer: &mut Splicer, now: MediaTime) -> Vec<Why> {
        std::iter::from_fn(|| splicer.poll(now)).map(|decision| decision.why).collect()
    }

    #[test]
    fn an_idle_channel_decides_at_the_end_of_each_cell() {
        let mut splicer = splicer();
        assert!(splicer.poll(at(1999)).is_none());
        assert_eq!(splicer.wake_at(), at(2000));
        assert_eq!(whys(&mut splicer, at(4000)), [Why::NotConnected; 2]);
    }

    #[test]
    fn a_live_cell_is_awaited_while_the_source_is_up() {
        let mut splicer = splicer();
        splicer.connect(Some(&"a".into()));
        assert_eq!(whys(&mut splicer, at(2000)), [Why::SourceDown]);
        splicer.source_up(true);
        assert!(splicer.poll(at(4999)).is_none());
        splicer.live_cell(&"a".into(), cell(FIRST.0 + 1));
        let live = splicer.poll(at(4999)).expect("the cell is there");
        assert_eq!((live.why, live.swapped), (Why::Live, true));
        assert_eq!(whys(&mut splicer, at(7000)), [Why::CellMissed]);
    }

    #[test]
    fn returning_is_damped_and_an_order_is_not() {
        let mut splicer = splicer();
        splicer.connect(Some(&"a".into()));
        splicer.source_up(true);
        for k in [0, 2, 3] {
            splicer.live_cell(&"a".into(), cell(FIRST.0 + k));
        }
        assert_eq!(whys(&mut splicer, at(9000)), [Why::Live, Why::CellMissed, Why::Damped, Why::Live]);
        splicer.connect(Some(&"b".into()));
        splicer.source_up(true);
        splicer.live_cell(&"a".into(), cell(FIRST.0 + 4));
        splicer.live_cell(&"b".into(), cell(FIRST.0 + 5));
        assert_eq!(whys(&mut splicer, at(12_000)), [Why::CellMissed, Why::Live]);
    }

    #[test]
    fn a_long_sleep_leaves_cells_out_and_never_goes_back() {
        let mut splicer = splicer();
        let _ = splicer.poll(at(2000));
        let decision = splicer.poll(at(2_000_000)).expect("a cell is due");
        assert_eq!(decision.k.0, FIRST.0 + 1000 - 6);
    }

    #[derive(Clone, Debug)]
    enum Event {
        Connect(Option<&'static str>),
        Up(bool),
        Cell(&'static str, i64),
        Wait(i64),
    }

    fn event() -> impl Strategy<Value = Event> {
        let name = prop::sample::select(vec!["a", "b"]);
        prop_oneof![
            prop::option::of(name.clone()).prop_map(Event::Connect),
            any::<bool>().prop_map(Event::Up),
            (name, -3..3_i64).prop_map(|(name, k)| Event::Cell(name, k)),
            (0..5000_i64).prop_map(Event::Wait),
        ]
    }

    proptest! {
        #[test]
        fn one_decision_per_cell_in_order_whatever_happens(events in prop::collection::vec(event(), 0..200)) {
            let mut splicer = splicer();
            let (mut now, mut expected, mut connected) = (0, FIRST, None);
            for event in events {
                match event {
                    Event::Connect(name) => { splicer.connect(name.map(SourceName::from).as_ref()); connected = name; }
                    Event::Up(up) => splicer.source_up(up),
                    Event::Cell(name, ahead) => {
                        splicer.live_cell(&name.into(), cell(GRID.cell_at(at(now)).0 + ahead));
                    }
                    Event::Wait(ms) => now += ms,
                }
                while let Some(decision) = splicer.poll(at(now)) {
                    prop_assert_eq!(decision.k, expected, "one cell after the other");
                    expected = expected.next();
                    prop_assert!(at(now) >= GRID.end(decision.k));
                    if let CellChoice::Live(cell) = decision.choice {
                        prop_assert_eq!(cell.k, decision.k);
                        prop_assert!(connected.is_some());
                        prop_assert_eq!(splicer.on_air().map(SourceName::as_str), connected);
                    } else {
                        prop_assert_eq!(splicer.on_air(), None);
                    }
                }
                // Never later than the deadline.
                prop_assert!(at(now) < GRID.end(expected) + OPTIONS.deadline);
                prop_assert!(splicer.wake_at() > at(now));
            }
        }

        /// Whatever happened before: `connect` says which of two sources it is about, and both may send.
        #[test]
        fn good_media_is_live_within_three_cells_and_bad_is_waiting_within_two(
            events in prop::collection::vec(event(), 0..60),
            bad in 1..6_i64,
            status in any::<bool>(),
        ) {
            let mut splicer = splicer();
            let mut now = 0;
            for event in events {
                match event {
                    Event::Connect(name) => splicer.connect(name.map(SourceName::from).as_ref()),
                    Event::Up(up) => splicer.source_up(up),
                    Event::Cell(name, ahead) => splicer.live_cell(&name.into(), cell(GRID.cell_at(at(now)).0 + ahead)),
                    Event::Wait(ms) => now += ms,
                }
                while splicer.poll(at(now)).is_some() {}
            }
            splicer.connect(Some(&"a".into()));
            // From the next cell on all is well; cells come half a second after their end.
            let next = GRID.cell_at(at(now)).next().0;
            let mut play = |from: i64, to: i64, good: bool| {
                let mut shown = Vec::new();
                for k in from..to {
                    let late = if good { 500 } else { 1000 };
                    splicer.source_up(good || status);
                    shown.extend(std::iter::from_fn(|| splicer.poll(GRID.end(CellIndex(k)))));
                    if good {
                        splicer.live_cell(&"a".into(), cell(k));
                    }
                    // The other one sends, too, and is never seen.
                    splicer.live_cell(&"b".into(), cell(k));
                    let then = GRID.end(CellIndex(k)) + Duration::from_millis(late);
                    shown.extend(std::iter::from_fn(|| splicer.poll(then)));
                }
                shown.retain(|decision| decision.k.0 >= from);
                shown.into_iter().map(|decision| decision.why == Why::Live).collect::<Vec<_>>()
            };
            let shown = play(next, next + 8, true);
            prop_assert_eq!(shown.len(), 8, "one decision for each cell");
            prop_assert!(shown[3..].iter().all(|live| *live), "live within three cells: {:?}", shown);
            let shown = play(next + 8, next + 8 + bad, false);
            prop_assert_eq!(shown.len() as i64, bad);
            prop_assert!(shown[1..].iter().all(|live| !*live), "waiting within two cells: {:?}", shown);
            // A short fault or a long one: it comes back, once its return is allowed.
            let shown = play(next + 8 + bad, next + 16 + bad, true);
            prop_assert!(shown[3..].iter().all(|live| *live), "live again: {:?}", shown);
        }

        /// Wowza's plugin throws the live source back to the loop when an ignored one is disconnected.
        #[test]
        fn a_source_that_is_not_connected_changes_nothing(events in prop::collection::vec(event(), 0..100)) {
            let (mut alone, mut beside) = (splicer(), splicer());
            let mut now = 0;
            for splicer in [&mut alone, &mut beside] {
                splicer.connect(Some(&"a".into()));
                splicer.source_up(true);
            }
            for event in events {
                match event {
                    Event::Cell(name, ahead) => {
                        let k = GRID.cell_at(at(now)).0 + ahead;
                        if name == "a" { alone.live_cell(&name.into(), cell(k)); }
                        beside.live_cell(&name.into(), cell(k));
                    }
                    Event::Up(up) => {
                        alone.source_up(up);
                        beside.source_up(up);
                    }
                    Event::Wait(ms) => now += ms,
                    // The same word again.
                    Event::Connect(_) => beside.connect(Some(&"a".into())),
                }
                let shown = |splicer: &mut Splicer| {
                    let all = std::iter::from_fn(|| splicer.poll(at(now)));
                    all.map(|decision| (decision.k, decision.why, decision.swapped)).collect::<Vec<_>>()
                };
                prop_assert_eq!(shown(&mut alone), shown(&mut beside));
                prop_assert_eq!(alone.wake_at(), beside.wake_at());
            }
        }
    }
}
