//! The two doors to time. Cores take time as an argument; shells ask a clock, and each is given the one that is right
//! for it. The doors have types of their own, so that none is taken for the other.
//!
//! * [`Clock`] is **media time**: cells, pictures, sound, playlists. [`SystemClock`] never goes back and never steps while
//!   the machine is awake: it follows the machine's clock by at most 1 ms per second, so that a correction by NTP does
//!   not tear a cell. Elapsed time is measured with it, or with `Instant`.
//! * [`WallClock`] is **what the machine says**: lectures, expiries, sessions, the audit log, what people read.
//!   [`MachineClock`] steps when the machine's clock is stepped, at once.
//!
//! [`Clocks`] is both, and how far they are apart. [`ManualClock`] is moved by hand in tests.
//!
//! Until [`Clock::steady`], which is when the first channel begins, media time steps with the machine's clock: nobody has
//! seen anything of it, so a server that was started before NTP had its say loses nothing.
//!
//! A machine that sleeps (suspend to RAM or disk) has no media that could go on. Media time is counted with the clock
//! that goes on meanwhile (`CLOCK_BOOTTIME`), so it is right again when the machine wakes: the cells between were
//! never there, and everything that keeps cells or slots finds that it has slept over some.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Lock, MediaTime};

/// Says what time it is for media.
pub trait Clock: Send + Sync + 'static {
    /// Media time now; once it is steady never earlier than an answer before.
    fn now(&self) -> MediaTime;

    /// Media begins to flow: from now on this clock does not step.
    fn steady(&self) {}
}

/// Says what time it is for people and calendars.
pub trait WallClock: Send + Sync + 'static {
    /// Unix time now, as the machine says.
    fn now(&self) -> MediaTime;
}

/// Both doors.
#[derive(Clone)]
pub struct Clocks {
    /// For media.
    pub media: Arc<dyn Clock>,
    /// For people and calendars.
    pub wall: Arc<dyn WallClock>,
}

impl Clocks {
    /// Those of this machine.
    pub fn system() -> Self {
        Self { media: Arc::new(SystemClock::default()), wall: Arc::new(MachineClock) }
    }

    /// How far the machine's clock is ahead of media time, in nanoseconds.
    pub fn offset_nanos(&self) -> i64 {
        self.wall.now().nanos_since(self.media.now())
    }

    /// What the machine's clock would have said at a point of media time, as it is now.
    #[must_use]
    pub fn to_wall(&self, media: MediaTime) -> MediaTime {
        media.offset_nanos(self.offset_nanos())
    }

    /// The point of media time at which the machine's clock would have said this, as it is now.
    #[must_use]
    pub fn to_media(&self, wall: MediaTime) -> MediaTime {
        wall.offset_nanos(self.offset_nanos().saturating_neg())
    }
}

impl std::fmt::Debug for Clocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clocks").field("offset_nanos", &self.offset_nanos()).finish()
    }
}

/// The machine's clock as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

impl WallClock for MachineClock {
    fn now(&self) -> MediaTime {
        MediaTime::from_nanos(unix_nanos())
    }
}

/// The machine's clock, smoothed.
#[derive(Debug)]
pub struct SystemClock(Lock<Steering>);

/// Which time is said, from the machine's two clocks (sans-IO).
#[derive(Debug)]
struct Steering {
    /// Unix time minus time since the machine's start, in nanoseconds.
    offset: i64,
    /// When the offset was last brought nearer, in nanoseconds since the machine's start.
    steered_at: i64,
    steady: bool,
    last: i64,
}

/// How fast the offset follows the machine's clock: 1 ms per second.
const SLEW_NANOS_PER_SECOND: i64 = 1_000_000;

/// Nobody is owed a correction for more seconds than that: a machine that has slept for a night does not step by half
/// a minute.
const SLEW_AT_MOST: i64 = 10;

const SECOND: i64 = 1_000_000_000;

impl Steering {
    const fn new(unix: i64, up: i64) -> Self {
        Self { offset: unix - up, steered_at: up, steady: false, last: i64::MIN }
    }

    /// The time `up` nanoseconds after the machine's start, at which its clock says `unix`.
    fn now(&mut self, unix: i64, up: i64) -> i64 {
        let wanted = unix - up;
        if !self.steady {
            self.offset = wanted;
            return unix;
        }
        let due = (up - self.steered_at) / SECOND;
        if due >= 1 {
            let reach = SLEW_NANOS_PER_SECOND * due.min(SLEW_AT_MOST);
            self.offset += (wanted - self.offset).clamp(-reach, reach);
            self.steered_at = up;
        }
        self.last = self.last.max(self.offset + up);
        self.last
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self(Lock::new(Steering::new(unix_nanos(), up_nanos())))
    }
}

impl SystemClock {
    fn steering(&self) -> std::sync::MutexGuard<'_, Steering> {
        self.0.lock()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> MediaTime {
        let mut steering = self.steering();
        // Asked behind the lock: else an earlier answer could come later.
        MediaTime::from_nanos(steering.now(unix_nanos(), up_nanos()))
    }

    fn steady(&self) {
        let mut steering = self.steering();
        let up = up_nanos();
        steering.now(unix_nanos(), up);
        (steering.steered_at, steering.steady) = (up, true);
    }
}

fn unix_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// Since the machine's start, its sleep included (`CLOCK_BOOTTIME`, clock_gettime(2)).
#[cfg(target_os = "linux")]
fn up_nanos() -> i64 {
    read(libc::CLOCK_BOOTTIME)
}

/// How long this machine has slept since its start.
#[cfg(target_os = "linux")]
pub fn slept() -> Duration {
    let slept = read(libc::CLOCK_BOOTTIME) - read(libc::CLOCK_MONOTONIC);
    Duration::from_nanos(u64::try_from(slept).unwrap_or(0))
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library has no clock that goes on while the machine sleeps")]
fn read(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours and lives through the call, which writes to it alone.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return 0;
    }
    time.tv_sec * SECOND + time.tv_nsec
}

/// Other systems' sleep is not known; media time is late by it, and follows slowly.
#[cfg(not(target_os = "linux"))]
fn up_nanos() -> i64 {
    static BEGUN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGUN.elapsed().as_nanos() as i64
}

/// How long this machine has slept since its start: not known here.
#[cfg(not(target_os = "linux"))]
pub fn slept() -> Duration {
    Duration::ZERO
}

/// Notices that media time has leapt: that it has gone on by much more than this machine was awake.
#[derive(Debug, Default)]
pub struct Leap(Option<(Instant, MediaTime)>);

/// Sleep that is shorter is a network that stalls, to those who measure one.
const LEAP: Duration = Duration::from_secs(5);

impl Leap {
    /// Media time has leapt since this was asked last. Ask more often than the machine may go to sleep.
    pub fn has_come(&mut self, clock: &dyn Clock) -> bool {
        self.observe(Instant::now(), clock.now())
    }

    fn observe(&mut self, awake: Instant, media: MediaTime) -> bool {
        let before = self.0.replace((awake, media));
        before.is_some_and(|(then, before)| {
            media.saturating_since(before) > awake.saturating_duration_since(then) + LEAP
        })
    }
}

/// A clock that stands still until it is moved. Behind both doors.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that says `now` until it is moved.
    pub const fn at(now: MediaTime) -> Self {
        Self(AtomicI64::new(now.as_nanos()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as i64, Ordering::Relaxed);
    }

    /// Puts the clock to another time, as a step does.
    pub fn set(&self, now: MediaTime) {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// What it says, through either door.
    pub fn now(&self) -> MediaTime {
        MediaTime::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> MediaTime {
        self.now()
    }
}

impl WallClock for ManualClock {
    fn now(&self) -> MediaTime {
        self.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * SECOND;
    const UNIX: i64 = 1_795_000_000 * SECOND;

    /// A steady clock, an hour after the machine's start.
    fn steady() -> Steering {
        Steering { steady: true, ..Steering::new(UNIX, HOUR) }
    }

    #[test]
    fn a_stepped_machine_clock_is_followed_slowly() {
        for step in [HOUR, -HOUR, 2 * SECOND, -SECOND] {
            let mut steering = steady();
            let mut last = steering.now(UNIX, HOUR);
            for second in 1..=100 {
                let gone = second * SECOND;
                let now = steering.now(UNIX + step + gone, HOUR + gone);
                let reach = SLEW_NANOS_PER_SECOND * second;
                assert_eq!(now - UNIX - gone, step.clamp(-reach, reach));
                assert!(now > last);
                last = now;
            }
        }
    }

    #[test]
    fn before_it_is_steady_a_step_is_followed_at_once() {
        let mut steering = Steering::new(UNIX, HOUR);
        assert_eq!(steering.now(UNIX - 50 * HOUR, HOUR + 1), UNIX - 50 * HOUR);
        assert_eq!(steering.now(UNIX, HOUR + 2), UNIX);
    }

    #[test]
    fn a_machine_that_has_slept_is_right_at_once_and_what_its_two_clocks_disagree_about_is_slewed() {
        let mut steering = steady();
        let night = 8 * HOUR;
        let before = steering.now(UNIX, HOUR);
        // The battery's clock was two seconds off.
        let woken = steering.now(UNIX + night - 2 * SECOND, HOUR + night);
        assert!((woken - before - night).abs() <= SLEW_AT_MOST * SLEW_NANOS_PER_SECOND, "{}", woken - before);
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let clock = SystemClock::default();
        clock.steady();
        let mut before = clock.now();
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= before);
            before = now;
        }
        assert!(clock.now().nanos_since(MachineClock.now()).abs() < SECOND);
    }

    #[test]
    fn a_leap_is_told_from_time_that_passes() {
        let (mut leap, awake) = (Leap::default(), Instant::now());
        let mut at = |awake_s: u64, media_s: i64| {
            leap.observe(awake + Duration::from_secs(awake_s), MediaTime::from_nanos(UNIX + media_s * SECOND))
        };
        let seen = [at(0, 0), at(1, 1), at(1, 5), at(100, 104), at(101, 3705), at(102, 3706)];
        assert_eq!(seen, [false, false, false, false, true, false]);
    }

    #[test]
    fn the_two_times_are_turned_into_each_other() {
        let media = Arc::new(ManualClock::at(MediaTime::from_nanos(UNIX)));
        let wall = Arc::new(ManualClock::at(MediaTime::from_nanos(UNIX + HOUR)));
        let clocks = Clocks { media, wall };
        let begun = MediaTime::from_nanos(UNIX - 5);
        assert_eq!(clocks.offset_nanos(), HOUR);
        assert_eq!(clocks.to_wall(begun), MediaTime::from_nanos(UNIX + HOUR - 5));
        assert_eq!(clocks.to_media(clocks.to_wall(begun)), begun);
    }
}
