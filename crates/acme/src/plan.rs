//! When an authority is asked (sans-IO: time is an argument, in seconds of unix time).

use amphi_tls::Identity;

/// The pause after a success, at least.
const LEAST_S: i64 = 3600;
/// The pause after the first failure; it doubles with each.
const PAUSE_S: i64 = 60;
/// The longest pause. Authorities allow few failures an hour.
const PAUSE_MAX_S: i64 = 6 * 3600;

/// What has been had and tried.
#[derive(Debug, Default)]
pub(super) struct RenewalPlan {
    /// When what is shown is to be renewed; `None` if nothing is.
    renew_at_s: Option<i64>,
    failures: u32,
    failed_at_s: i64,
}

impl RenewalPlan {
    /// A certificate is shown from now on.
    pub(super) fn has(&mut self, identity: &Identity) {
        *self = Self { renew_at_s: Some(identity.renew_at_s()), ..Self::default() };
    }

    /// One has been had: the next is asked for in an hour at the earliest, however soon this one ends.
    pub(super) fn had(&mut self, now_s: i64) {
        self.renew_at_s = self.renew_at_s.map(|at| at.max(now_s.saturating_add(LEAST_S)));
    }

    pub(super) fn failed(&mut self, now_s: i64) {
        self.failures = self.failures.saturating_add(1);
        self.failed_at_s = now_s;
    }

    /// How long to wait until the next try; zero or less: now.
    pub(super) fn wait_s(&self, now_s: i64) -> i64 {
        let due = self.renew_at_s.unwrap_or(now_s);
        let rested = match self.failures.checked_sub(1) {
            None => i64::MIN,
            Some(doublings) => {
                let pause = PAUSE_S.saturating_mul(1 << doublings.min(20)).min(PAUSE_MAX_S);
                self.failed_at_s.saturating_add(pause)
            }
        };
        due.max(rested).saturating_sub(now_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_six_hours_and_a_success_forgets_them() {
        let mut plan = RenewalPlan::default();
        assert_eq!(plan.wait_s(1000), 0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            plan.failed(1000);
            pauses.push(plan.wait_s(1000));
        }
        assert_eq!(pauses[..4], [60, 120, 240, 480]);
        assert_eq!(pauses[11], 6 * 3600);
        plan.failures = u32::MAX;
        plan.failed(1000);
        assert_eq!(plan.wait_s(1000), 6 * 3600);
        let pair = rcgen::generate_simple_self_signed(["a.example.org".to_owned()]).expect("a pair");
        let pem = pair.cert.pem() + &pair.signing_key.serialize_pem();
        let identity = Identity::from_pem(pem.as_bytes(), pem.as_bytes()).expect("a pair");
        plan.has(&identity);
        let (begins, ends) = identity.span_s();
        assert_eq!(plan.wait_s(begins), (ends - begins) - (ends - begins) / 3);
        assert!(plan.wait_s(ends) < 0);
        plan.had(ends);
        assert_eq!(plan.wait_s(ends), LEAST_S);
    }
}
