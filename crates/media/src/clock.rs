//! The two clocks. Cores take time as an argument; shells ask a clock, each the one that is right for its purpose. The
//! clocks have different types, so that one cannot be taken for the other.
//!
//! * [`Clock`] is **media time**: cells, pictures, sound, playlists. [`SystemClock`] never goes back and never steps while
//!   the machine is awake: it follows the machine's clock by at most 1 ms per second, so that a correction by NTP does
//!   not tear a cell. Elapsed time is measured with it, or with `Instant`.
//! * [`WallClock`] is **what the machine says**: lectures, expiries, sessions, the audit log, times that people read.
//!   [`MachineClock`] steps when the machine's clock is stepped, at once.
//!
//! [`Clocks`] holds both and tells how far they are apart. [`ManualClock`] is moved by hand in tests.
//!
//! Until [`Clock::steady`] is called, when the first channel begins, media time steps with the machine's clock. No viewer
//! has seen any media by then, so starting the server before NTP has set the clock does no harm.
//!
//! A machine that sleeps (suspend to RAM or disk) codes nothing meanwhile. Media time is counted with the clock that goes
//! on during sleep (`CLOCK_BOOTTIME`), so it is right as soon as the machine wakes. The cells in between never exist, and
//! whatever keeps cells or slots has to cope with such a gap ([`Leap`] detects it).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Lock, MediaTime};

/// A source of media time.
pub trait Clock: Send + Sync + 'static {
    /// Media time now. Once the clock is steady, no answer is earlier than the one before.
    fn now(&self) -> MediaTime;

    /// Called when media begins to flow: from now on this clock does not step.
    fn steady(&self) {}
}

/// A source of the time that people and calendars use.
pub trait WallClock: Send + Sync + 'static {
    /// Unix time now, as the machine's clock says, steps included.
    fn now(&self) -> MediaTime;
}

/// Both clocks, as a shell is given them.
#[derive(Clone)]
pub struct Clocks {
    /// For cells, pictures, sound and playlists.
    pub media: Arc<dyn Clock>,
    /// For people, calendars and sessions.
    pub wall: Arc<dyn WallClock>,
}

impl Clocks {
    /// The clocks of this machine.
    pub fn system() -> Self {
        Self { media: Arc::new(SystemClock::default()), wall: Arc::new(MachineClock) }
    }

    /// How far the machine's clock is ahead of media time, in nanoseconds.
    pub fn offset_nanos(&self) -> i64 {
        self.wall.now().nanos_since(self.media.now())
    }

    /// The wall-clock time of a point of media time, by the present difference of the clocks.
    #[must_use]
    pub fn to_wall(&self, media: MediaTime) -> MediaTime {
        media.offset_nanos(self.offset_nanos())
    }

    /// The media time of a point on the wall clock, by the present difference of the clocks.
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

/// The machine's clock, unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

impl WallClock for MachineClock {
    fn now(&self) -> MediaTime {
        MediaTime::from_nanos(unix_nanos())
    }
}

/// The machine's clock, smoothed as the module text says.
#[derive(Debug)]
pub struct SystemClock(Lock<Steering>);

/// Computes media time from the machine's two clocks (sans-IO).
#[derive(Debug)]
struct Steering {
    /// Unix time minus time since the machine's start, in nanoseconds.
    offset: i64,
    /// When the offset was last corrected, in nanoseconds since the machine's start.
    steered_at: i64,
    steady: bool,
    last: i64,
}

/// How fast the offset follows the machine's clock: 1 ms per second.
const SLEW_NANOS_PER_SECOND: i64 = 1_000_000;

/// Seconds' worth of correction that one call makes at most: after a night's sleep media time must not step by half a
/// minute.
const SLEW_AT_MOST: i64 = 10;

const SECOND: i64 = 1_000_000_000;

impl Steering {
    const fn new(unix: i64, up: i64) -> Self {
        Self { offset: unix - up, steered_at: up, steady: false, last: i64::MIN }
    }

    /// Media time at `up` nanoseconds after the machine's start, when its clock says `unix`.
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
        // Read under the lock: otherwise of two threads the later one could get the earlier time.
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

/// Nanoseconds since the machine's start, sleep included (`CLOCK_BOOTTIME`, clock_gettime(2)).
#[cfg(target_os = "linux")]
fn up_nanos() -> i64 {
    read(libc::CLOCK_BOOTTIME)
}

/// How long this machine has slept in all since its start.
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

/// Sleep is not known on other systems: media time is late by it, and catches up slowly.
#[cfg(not(target_os = "linux"))]
fn up_nanos() -> i64 {
    static BEGUN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGUN.elapsed().as_nanos() as i64
}

/// How long this machine has slept since its start: always zero, since it is not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn slept() -> Duration {
    Duration::ZERO
}

/// Detects a leap of media time: it has moved on by much more than the machine was awake.
#[derive(Debug, Default)]
pub struct Leap(Option<(Instant, MediaTime)>);

/// A shorter leap is ignored: sources take so short a sleep for a network that stalls.
const LEAP: Duration = Duration::from_secs(5);

impl Leap {
    /// Whether media time has leapt since the last call. Call it at least as often as the machine may go to sleep.
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

/// A clock for tests that stands still until it is moved. It serves as either kind.
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

    /// Sets the clock to another time, as a step does.
    pub fn set(&self, now: MediaTime) {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// The time it was last moved to, as media time and as wall-clock time.
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
        // After the sleep the hardware clock is two seconds off.
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
