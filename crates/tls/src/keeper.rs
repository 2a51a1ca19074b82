//! Decides what becomes of a pair of files that is looked at again and again (sans-IO: contents and time are arguments).
//!
//! # Contract
//! Give [`PairKeeper::offer`] what lies in the files, as often as you like. It says whether the pair is to be
//! shown from now on. One that is not good is refused, and what was shown before stays. Certbot replaces the two files one after
//! the other, so for a moment they may not belong together: they are refused, and taken at the next look.
//! [`PairKeeper::complaint`] is what an operator is to be told, until it is mended.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::identity::{Identity, Validity};

/// What is shown of a pair of files, and what was last seen in them.
#[derive(Debug, Default)]
pub struct PairKeeper {
    shown: Option<Arc<Identity>>,
    /// The digest of what was judged last.
    seen: Option<[u8; 32]>,
    /// Why the files are not what is shown.
    refused: Option<String>,
}

/// What is to be done after a look.
#[derive(Clone, Debug, PartialEq)]
pub enum Offered {
    /// Nothing.
    Same,
    /// This is to be shown.
    Taken(Arc<Identity>),
    /// What was shown before is still shown, if anything, for the reason given.
    Refused(String),
}

impl PairKeeper {
    /// Judges what lies in the files at `now_s` (unix time). An error in place of contents says why they cannot be read.
    pub fn offer(&mut self, files: Result<(&[u8], &[u8]), String>, now_s: i64) -> Offered {
        let judged = match files {
            Err(why) => {
                self.seen = None;
                Err(why)
            }
            Ok((chain, key)) => {
                let digest = Sha256::new().chain_update((chain.len() as u64).to_le_bytes());
                let digest = digest.chain_update(chain).chain_update(key).finalize().into();
                // A pair that is not valid yet is one at a later time.
                if self.seen == Some(digest) && self.refused.is_none() {
                    return Offered::Same;
                }
                self.seen = Some(digest);
                judge(chain, key, now_s)
            }
        };
        match judged {
            Ok(pair) => {
                self.refused = None;
                let pair = Arc::new(pair);
                self.shown = Some(Arc::clone(&pair));
                Offered::Taken(pair)
            }
            Err(why) if self.refused.as_ref() == Some(&why) => Offered::Same,
            Err(why) => {
                self.refused = Some(why.clone());
                Offered::Refused(why)
            }
        }
    }

    /// What is shown.
    pub const fn shown(&self) -> Option<&Arc<Identity>> {
        self.shown.as_ref()
    }

    /// What is wrong at `now_s` (unix time), if anything: the files are refused, or what is shown ends soon.
    pub fn complaint(&self, now_s: i64) -> Option<String> {
        let ending = self.shown.as_ref().and_then(|shown| match shown.validity(now_s) {
            Validity::Good => None,
            Validity::NotYet => Some("the certificate is not valid yet: is the clock right?".to_owned()),
            Validity::Ending(0) => Some("the certificate expires today".to_owned()),
            Validity::Ending(days) => Some(format!("the certificate expires in {days} day(s)")),
            Validity::Expired => Some("the certificate has expired: players refuse it".to_owned()),
        });
        let refused = self.refused.as_ref().map(|why| match self.shown {
            Some(_) => format!("the files are not what is shown: {why}"),
            None => format!("no certificate is shown: {why}"),
        });
        match (refused, ending) {
            (Some(refused), Some(ending)) => Some(format!("{refused}; {ending}")),
            (one, other) => one.or(other),
        }
    }
}

fn judge(chain: &[u8], key: &[u8], now_s: i64) -> Result<Identity, String> {
    let pair = Identity::from_pem(chain, key).map_err(|fault| fault.to_string())?;
    match pair.validity(now_s) {
        Validity::Expired => Err("the certificate has expired".to_owned()),
        Validity::NotYet => Err("the certificate is not valid yet".to_owned()),
        Validity::Good | Validity::Ending(_) => Ok(pair),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::made_until;

    const DAY: i64 = 86_400;

    fn files(pair: &(String, String)) -> (&[u8], &[u8]) {
        (pair.0.as_bytes(), pair.1.as_bytes())
    }

    #[test]
    fn a_good_pair_is_taken_once_and_a_bad_one_never() {
        let (old, new) = (made_until(&["a.example.org"], 100, 200), made_until(&["a.example.org"], 150, 400));
        let mut keeper = PairKeeper::default();
        assert!(matches!(keeper.offer(Ok(files(&old)), 120 * DAY), Offered::Taken(_)));
        assert_eq!(keeper.offer(Ok(files(&old)), 121 * DAY), Offered::Same);
        assert_eq!(keeper.complaint(121 * DAY), None);
        let first = keeper.shown().cloned();
        // The chain is replaced first, then the key.
        let between = (new.0.clone(), old.1.clone());
        assert!(matches!(keeper.offer(Ok(files(&between)), 160 * DAY), Offered::Refused(_)));
        assert_eq!(keeper.offer(Ok(files(&between)), 160 * DAY), Offered::Same, "it is said once");
        assert_eq!(keeper.shown().cloned(), first);
        assert!(keeper.complaint(160 * DAY).is_some_and(|why| why.contains("not what is shown")));
        assert!(matches!(keeper.offer(Ok(files(&new)), 160 * DAY), Offered::Taken(_)));
        assert_eq!(keeper.complaint(160 * DAY), None);
        // What has ended is no better than what is shown.
        assert!(
            matches!(keeper.offer(Ok(files(&old)), 300 * DAY), Offered::Refused(why) if why.contains("expired"))
        );
        assert!(
            matches!(keeper.offer(Err("gone".into()), 300 * DAY), Offered::Refused(why) if why == "gone")
        );
        assert!(matches!(keeper.offer(Ok(files(&new)), 300 * DAY), Offered::Taken(_)));
    }

    #[test]
    fn what_ends_soon_is_complained_of_from_three_weeks_before() {
        let pair = made_until(&["a.example.org"], 100, 200);
        let mut keeper = PairKeeper::default();
        keeper.offer(Ok(files(&pair)), 120 * DAY);
        assert_eq!(keeper.complaint(179 * DAY), None);
        for (day, word) in [(180, "in 20 day(s)"), (200, "today"), (201, "has expired")] {
            assert!(keeper.complaint(day * DAY).is_some_and(|why| why.contains(word)), "{day}");
        }
    }

    #[test]
    fn a_pair_that_begins_later_is_taken_when_it_does() {
        let pair = made_until(&["a.example.org"], 100, 200);
        let mut keeper = PairKeeper::default();
        assert!(matches!(keeper.offer(Ok(files(&pair)), 99 * DAY), Offered::Refused(_)));
        assert!(matches!(keeper.offer(Ok(files(&pair)), 100 * DAY), Offered::Taken(_)));
    }
}
