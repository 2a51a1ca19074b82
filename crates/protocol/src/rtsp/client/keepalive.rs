//! Keepalives of a session (RFC 2326 §12.37): which request, and how often.
//!
//! GET_PARAMETER, OPTIONS and SET_PARAMETER all serve (RFC 2326 §10.1, §10.8, §10.9), but encoders differ in what they accept.
//! The first kind that is not refused is kept. OPTIONS comes first: every server must know it, and some close the connection
//! on an unknown method. If `Public` lists GET_PARAMETER, that comes first, since it is about a session. An encoder that
//! does not respond may have accepted the request, so the next kind is tried and the session goes on.

use core::time::Duration;

/// The timeout if the server names none (RFC 2326 §12.37).
const TIMEOUT: Duration = Duration::from_secs(60);
const KINDS: [&str; 3] = ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER"];

/// When and how a session is kept alive.
#[derive(Debug)]
pub(super) struct Keepalive {
    every: Duration,
    /// The kinds of request in the order in which they are tried.
    kinds: [&'static str; 3],
    turn: usize,
    refused_in_row: usize,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { every: interval(TIMEOUT), kinds: KINDS, turn: 0, refused_in_row: 0 }
    }
}

/// Two keepalives fit into the timeout, with some time to spare.
fn interval(timeout: Duration) -> Duration {
    (timeout * 2 / 5).clamp(Duration::from_millis(400), Duration::from_secs(30))
}

impl Keepalive {
    /// Takes the timeout from the parameters after the session identifier.
    pub(super) fn session(&mut self, parameters: &str) {
        let timeout = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("timeout")
                .then(|| value.trim().trim_matches('"').parse::<f64>().ok())?
        });
        if let Some(seconds) = timeout.filter(|seconds| seconds.is_finite() && *seconds >= 0.5) {
            self.every = interval(Duration::from_secs_f64(seconds.min(3600.0)));
        }
    }

    /// Takes the methods that the server lists in `Public`.
    pub(super) fn public(&mut self, methods: &str) {
        if self.turn > 0 {
            return;
        }
        let listed =
            |kind: &str| methods.split([',', ' ']).any(|method| method.trim().eq_ignore_ascii_case(kind));
        self.kinds.sort_by_key(|kind| (!listed(kind), *kind != "GET_PARAMETER"));
    }

    pub(super) const fn every(&self) -> Duration {
        self.every
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kinds.get(self.turn % KINDS.len()).copied().unwrap_or("OPTIONS")
    }

    pub(super) const fn taken(&mut self) {
        self.refused_in_row = 0;
    }

    /// The current kind was refused. Returns whether the next one should be tried at once.
    pub(super) const fn refused(&mut self) -> bool {
        self.turn += 1;
        self.refused_in_row += 1;
        !self.refused_in_row.is_multiple_of(KINDS.len())
    }

    /// The current kind got no response.
    pub(super) const fn unanswered(&mut self) {
        self.turn += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_is_kept_with_a_margin() {
        for (parameters, every_ms) in [
            ("", 24_000),
            (";timeout=60", 24_000),
            ("; Timeout = \"10\" ;x=1", 4000),
            (";timeout=1", 400),
            (";timeout=0", 24_000),
            (";timeout=-5", 24_000),
            (";timeout=x", 24_000),
            (";timeout=1e300", 30_000),
        ] {
            let mut keepalive = Keepalive::default();
            keepalive.session(parameters);
            assert_eq!(keepalive.every, Duration::from_millis(every_ms), "{parameters}");
        }
    }

    #[test]
    fn kinds_take_turns_until_one_is_taken() {
        let mut keepalive = Keepalive::default();
        let tried: Vec<_> = (0..3).map(|_| (keepalive.kind(), keepalive.refused())).collect();
        assert_eq!(tried, [("OPTIONS", true), ("GET_PARAMETER", true), ("SET_PARAMETER", false)]);
        let mut keepalive = Keepalive::default();
        keepalive.public("DESCRIBE, PLAY,set_parameter");
        assert_eq!(keepalive.kind(), "SET_PARAMETER");
        keepalive.unanswered();
        assert_ne!(keepalive.kind(), "SET_PARAMETER");
        let mut keepalive = Keepalive::default();
        keepalive.public("OPTIONS, DESCRIBE, GET_PARAMETER");
        assert_eq!(keepalive.kind(), "GET_PARAMETER");
    }
}
