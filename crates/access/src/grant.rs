//! Grants: what a viewer carries in the path from the entry to everything that the entry names.
//!
//! ```text
//! ~<until>-<group>-<tag>        until: unix seconds, 10 digits, a multiple of the period
//!                               group: of whom, 4 hexadecimal digits of SHA-256 of the key's or network's name
//!                               tag: the first 24 hexadecimal digits of HMAC-SHA-256 of "<scope>\n<until>-<group>"
//! ```
//! A grant is equal for all who came in the same period by the same right, so a cache has few of them to check, and no player
//! needs to know of it: relative addresses inherit it. It says nothing of a person. Its form is plain enough for a cache to
//! check it, see `docs/caches.md`.
//!
//! Contract: whoever shows a right at an entry is handed one ([`Grants::mint`]). [`Grants::check`] says whether one is right; how long
//! after its end it is good for who plays is decided elsewhere.

use core::fmt;

use jiff::{SignedDuration, Timestamp};
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use super::refusal::Refusal;

/// The sign in front of a grant in a path.
pub const GRANT_SIGN: char = '~';
/// Length of a grant in bytes, with its sign.
pub const GRANT_BYTES: usize = 1 + UNTIL_DIGITS + 1 + 4 + 1 + TAG_DIGITS;
/// Digits of the time: those of this century and the next two.
const UNTIL_DIGITS: usize = 10;
/// The last time that has so many digits, in 2286.
const UNTIL_MAX: i64 = 9_999_999_999;
/// Hexadecimal digits of the tag: 96 bits (RFC 2104 §5 asks for 80 at least).
const TAG_DIGITS: usize = 24;

/// Of whom a grant is: a short hash of the name of a key or a network.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantGroup(u16);

impl GrantGroup {
    /// That of a name.
    pub fn of(name: &str) -> Self {
        match digest::digest(&digest::SHA256, name.as_bytes()).as_ref() {
            [first, second, ..] => Self(u16::from_be_bytes([*first, *second])),
            _ => Self(0),
        }
    }
}

impl fmt::Display for GrantGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

impl fmt::Debug for GrantGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A grant whose tag is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Of whom.
    pub group: GrantGroup,
    /// Until when it is good whatever happens.
    pub until: Timestamp,
    /// When it was made at the latest; at the earliest, one period before.
    pub made_by: Timestamp,
}

/// Makes and checks grants.
#[derive(Clone)]
pub struct Grants {
    /// With the secret already hashed in: a check costs two blocks of SHA-256.
    keyed: hmac::Key,
    period_s: i64,
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants").field("period_s", &self.period_s).finish_non_exhaustive()
    }
}

impl Grants {
    /// Grants that are good for one to two periods of so many seconds.
    pub fn new(secret: &[u8], period_s: u32) -> Self {
        Self { keyed: hmac::Key::new(hmac::HMAC_SHA256, secret), period_s: i64::from(period_s.max(1)) }
    }

    /// How long one grant is handed out.
    pub fn period(&self) -> SignedDuration {
        SignedDuration::from_secs(self.period_s)
    }

    /// The grant of those who come now, with its sign; `scope` is what it opens.
    pub fn mint(&self, scope: &str, group: GrantGroup, now: Timestamp) -> String {
        let until = (now.as_second() / self.period_s + 2) * self.period_s;
        let claim = format!("{:010}-{group}", until.clamp(0, UNTIL_MAX));
        let mut tag = [0; TAG_DIGITS];
        self.tag(scope, claim.as_bytes(), &mut tag);
        format!("{GRANT_SIGN}{claim}-{}", String::from_utf8_lossy(&tag))
    }

    /// The grant in that segment of a path, if it was made for that scope. `Malformed` if it is none, `Signature` if it was
    /// made for something else, or by somebody else.
    pub fn check(&self, scope: &str, segment: &str) -> Result<Grant, Refusal> {
        let text = segment.strip_prefix(GRANT_SIGN).filter(|text| text.len() == GRANT_BYTES - 1);
        let (claim, tag) = text.and_then(|text| text.rsplit_once('-')).ok_or(Refusal::Malformed)?;
        let (until, group) = claim.split_once('-').ok_or(Refusal::Malformed)?;
        let (until_s, group) = seconds(until).zip(hex(group, 4)).ok_or(Refusal::Malformed)?;
        let mut right = [0; TAG_DIGITS];
        self.tag(scope, claim.as_bytes(), &mut right);
        if !bool::from(right.as_slice().ct_eq(tag.as_bytes())) {
            return Err(Refusal::Signature);
        }
        let at = |second| Timestamp::from_second(second).map_err(|_| Refusal::Malformed);
        let (until, made_by) = (at(until_s)?, at(until_s - self.period_s)?);
        Ok(Grant { group: GrantGroup(group as u16), until, made_by })
    }

    fn tag(&self, scope: &str, claim: &[u8], into: &mut [u8; TAG_DIGITS]) {
        let mut mac = hmac::Context::with_key(&self.keyed);
        mac.update(scope.as_bytes());
        mac.update(b"\n");
        mac.update(claim);
        let digits = |byte: u8| [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]);
        for (two, byte) in into.chunks_exact_mut(2).zip(mac.sign().as_ref()) {
            two.copy_from_slice(&digits(*byte));
        }
    }
}

/// The time in a grant.
fn seconds(text: &str) -> Option<i64> {
    let is_plain = text.len() == UNTIL_DIGITS && text.bytes().all(|it| it.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// A number of so many lower-case hexadecimal digits: there is one spelling of a grant.
fn hex(text: &str, digits: usize) -> Option<u32> {
    let is_plain = text.len() == digits && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    is_plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn all_who_come_in_one_period_by_one_right_have_one_grant() {
        let grants = Grants::new(b"secret", 300);
        let moodle = GrantGroup::of("moodle");
        let first = grants.mint("Live_PAES", moodle, at(1_795_000_200));
        assert_eq!(first, grants.mint("Live_PAES", moodle, at(1_795_000_200 + 299)));
        assert_ne!(first, grants.mint("Live_PAES", moodle, at(1_795_000_200 + 300)));
        assert_ne!(first, grants.mint("Live_L2", moodle, at(1_795_000_200)));
        assert_ne!(first, grants.mint("Live_PAES", GrantGroup::of("campus"), at(1_795_000_200)));
        assert_eq!(first.len(), GRANT_BYTES);
        let read = grants.check("Live_PAES", &first).expect("it is right");
        assert_eq!((read.group, read.until, read.made_by), (moodle, at(1_795_000_800), at(1_795_000_500)));
        assert_eq!(grants.check("Live_L2", &first), Err(Refusal::Signature));
        assert_eq!(Grants::new(b"other", 300).check("Live_PAES", &first), Err(Refusal::Signature));
    }

    #[test]
    fn what_a_cache_computes() {
        // python3: hmac.new(b"secret", b"Live_PAES\n1795000800-" + hashlib.sha256(b"moodle").hexdigest()[:4].encode(), "sha256")
        let grant =
            Grants::new(b"secret", 300).mint("Live_PAES", GrantGroup::of("moodle"), at(1_795_000_200));
        insta::assert_snapshot!(grant, @"~1795000800-36af-a029e671333f6550d07fd054");
    }

    proptest! {
        #[test]
        fn no_other_text_passes(text in "~[0-9]{10}-[0-9a-f]{4}-[0-9a-f]{24}", place in 0_usize..41, with in 0_u8..16) {
            let grants = Grants::new(b"secret", 300);
            prop_assert!(grants.check("Live_PAES", &text).is_err());
            let right = grants.mint("Live_PAES", GrantGroup::of("moodle"), at(1_795_000_000));
            let mut wrong = right.clone().into_bytes();
            wrong[place] = b"0123456789abcdef"[usize::from(with)];
            let wrong = String::from_utf8(wrong).expect("ASCII");
            prop_assert_eq!(grants.check("Live_PAES", &wrong).is_ok(), wrong == right);
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,50}", scope in "\\PC{0,20}") {
            let _ = Grants::new(b"secret", 300).check(&scope, &text);
        }
    }
}
