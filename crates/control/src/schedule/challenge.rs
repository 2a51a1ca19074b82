//! HTTP authentication as a client (RFC 7617 Basic, RFC 7616 Digest), with the `http-auth` crate.
//!
//! Contract: call [`Prover::begin`] and [`Prover::authorization`] before each request. After an answer 401 pass its
//! challenges to [`Prover::challenged`], which says whether to try again. A nonce is used until the server refuses it:
//! Opencast's are good for 300 s, longer than one poll, shorter than two.
//!
//! If the server calls several new nonces stale in a row, we give up: it, or a load balancer before it, forgets them at
//! once. The password is never sent in clear (Basic) over a connection that others can read.

use http_auth::{ChallengeParser, PasswordClient, PasswordParams};

use super::fault::PollError;
use amphi_config::Secret;

/// The user, the password, and the last challenge.
pub(super) struct Prover {
    user: String,
    password: Secret,
    client: Option<PasswordClient>,
    /// Challenges answered since [`Prover::begin`].
    answered: u32,
    /// The connection is not encrypted, and goes over a network.
    in_clear: bool,
}

/// The most challenges answered for one request: two servers with one name may each know only their own nonces.
const ANSWERS: u32 = 3;

impl Prover {
    /// `in_clear`: the connection is not encrypted, and does not stay on this machine.
    pub(super) const fn new(user: String, password: Secret, in_clear: bool) -> Self {
        Self { user, password, client: None, answered: 0, in_clear }
    }

    /// Call it before each new request.
    pub(super) const fn begin(&mut self) {
        self.answered = 0;
    }

    /// The value of `Authorization`; `None` before the first challenge.
    pub(super) fn authorization(&mut self, target: &str) -> Option<String> {
        let client = self.client.as_mut()?;
        let password = self.password.reveal();
        let params =
            PasswordParams { username: &self.user, password, uri: target, method: "GET", body: None };
        // Fails for `auth-int`, which needs a body.
        client.respond(&params).ok()
    }

    /// The server has answered 401 with these values of `WWW-Authenticate`. `Ok`: try again.
    pub(super) fn challenged(&mut self, challenges: &[String]) -> Result<(), PollError> {
        if self.user.is_empty() {
            return Err(PollError::Anonymous(401));
        }
        self.client = None;
        let is_stale = challenges.iter().any(|challenge| is_stale(challenge));
        if self.answered > 0 && !is_stale {
            return Err(PollError::Refused(401));
        }
        if self.answered >= ANSWERS {
            return Err(PollError::Stale);
        }
        let all = challenges.iter().fold(PasswordClient::builder(), |all, one| all.challenges(one));
        let client = all.build().map_err(|_| PollError::Challenge(schemes(challenges)))?;
        if self.in_clear && matches!(client, PasswordClient::Basic(_)) {
            return Err(PollError::InClear);
        }
        self.client = Some(client);
        self.answered += 1;
        Ok(())
    }
}

/// Whether the response was right and only its nonce too old (RFC 7616 §3.3).
fn is_stale(challenge: &str) -> bool {
    let parsed = ChallengeParser::new(challenge).filter_map(Result::ok);
    let mut params = parsed.flat_map(|challenge| challenge.params);
    params.any(|(key, value)| {
        key.eq_ignore_ascii_case("stale") && value.as_escaped().eq_ignore_ascii_case("true")
    })
}

/// The names of the schemes, for a message.
fn schemes(challenges: &[String]) -> String {
    let known = challenges.iter().flat_map(|challenge| {
        ChallengeParser::new(challenge).filter_map(Result::ok).map(|challenge| challenge.scheme.to_owned())
    });
    let known: Vec<String> = known.collect();
    if known.is_empty() { "none is named".to_owned() } else { known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prover(user: &str) -> Prover {
        Prover::new(user.to_owned(), Secret::new("chalk"), false)
    }

    const DIGEST: &str = "Digest realm=\"Opencast\", qop=\"auth\", nonce=\"abc\"";

    #[test]
    fn one_challenge_is_answered_and_a_stale_one_again() {
        let mut prover = prover("matterhorn");
        assert_eq!(prover.authorization("/x"), None);
        prover.begin();
        prover.challenged(&[DIGEST.to_owned()]).expect("answered");
        let shown = prover.authorization("/recordings/calendars?agentid=a").expect("a proof");
        assert!(
            shown.starts_with("Digest ") && shown.contains("uri=\"/recordings/calendars?agentid=a\""),
            "{shown}"
        );
        assert!(!shown.contains("chalk"));
        prover.challenged(&[format!("{DIGEST}, stale=true")]).expect("the nonce was too old");
        assert_eq!(prover.challenged(&[DIGEST.to_owned()]), Err(PollError::Refused(401)));
        prover.begin();
        prover.challenged(&["Basic realm=\"x\"".to_owned()]).expect("Basic is known too");
        assert_eq!(prover.authorization("/").as_deref(), Some("Basic bWF0dGVyaG9ybjpjaGFsaw=="));
    }

    #[test]
    fn of_several_the_stronger_is_taken_and_unknown_ones_are_named() {
        let mut prover = prover("u");
        prover.begin();
        prover.challenged(&["Basic realm=\"x\"".to_owned(), DIGEST.to_owned()]).expect("answered");
        assert!(prover.authorization("/").expect("a proof").starts_with("Digest "));
        prover.begin();
        let unknown = prover.challenged(&["Negotiate".to_owned()]);
        assert_eq!(unknown, Err(PollError::Challenge("Negotiate".to_owned())));
        let nobody = self::prover("").challenged(&[DIGEST.to_owned()]);
        assert_eq!(nobody, Err(PollError::Anonymous(401)));
    }

    #[test]
    fn a_nonce_that_is_always_stale_is_given_up() {
        let mut prover = prover("u");
        let stale = [format!("{DIGEST}, stale=true")];
        for _round in 0..2 {
            prover.begin();
            let answers = (0..10).take_while(|_| prover.challenged(&stale).is_ok()).count();
            assert_eq!(answers, ANSWERS as usize);
            assert_eq!(prover.challenged(&stale), Err(PollError::Stale));
            assert_eq!(prover.authorization("/"), None, "the next round asks anew");
        }
    }

    #[test]
    fn the_password_is_not_sent_in_clear() {
        let mut prover = Prover::new("u".to_owned(), Secret::new("chalk"), true);
        prover.begin();
        let basic = "Basic realm=\"x\"".to_owned();
        assert_eq!(prover.challenged(std::slice::from_ref(&basic)), Err(PollError::InClear));
        assert_eq!(prover.authorization("/"), None);
        prover.challenged(&[basic, DIGEST.to_owned()]).expect("Digest shows nothing");
        assert!(prover.authorization("/").expect("a proof").starts_with("Digest "));
    }
}
