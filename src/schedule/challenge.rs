//! Answering a server that asks who we are (RFC 7617 Basic, RFC 7616 Digest), with the `http-auth` crate.
//!
//! Contract: before each request ask [`Prover::authorization`]; after an answer 401 hand its challenges to
//! [`Prover::challenged`], which says whether it is worth asking again. A nonce is used until the server refuses it:
//! Opencast's live for 300 s, longer than one poll, shorter than two.

use http_auth::{ChallengeParser, PasswordClient, PasswordParams};

use super::fault::Trouble;
use crate::config::Secret;

/// Knows the one user, and the last challenge.
pub(super) struct Prover {
    user: String,
    password: Secret,
    client: Option<PasswordClient>,
    /// The challenge was answered in this round already.
    answered: bool,
}

impl Prover {
    pub(super) const fn new(user: String, password: Secret) -> Self {
        Self { user, password, client: None, answered: false }
    }

    /// A new question to the server: one challenge may be answered from here on.
    pub(super) const fn begin(&mut self) {
        self.answered = false;
    }

    /// The value of `Authorization`, where a challenge is known.
    pub(super) fn authorization(&mut self, target: &str) -> Option<String> {
        let client = self.client.as_mut()?;
        let password = self.password.reveal();
        let params =
            PasswordParams { username: &self.user, password, uri: target, method: "GET", body: None };
        // It fails for a body that was not given where one must be (auth-int).
        client.respond(&params).ok()
    }

    /// The server has answered 401 with these values of `WWW-Authenticate`. `Ok`: ask again.
    pub(super) fn challenged(&mut self, challenges: &[String]) -> Result<(), Trouble> {
        if self.user.is_empty() {
            return Err(Trouble::Anonymous(401));
        }
        if self.answered && !challenges.iter().any(|challenge| is_stale(challenge)) {
            self.client = None;
            return Err(Trouble::Refused(401));
        }
        let all = challenges.iter().fold(PasswordClient::builder(), |all, one| all.challenges(one));
        self.client = Some(all.build().map_err(|_| Trouble::Challenge(schemes(challenges)))?);
        self.answered = true;
        Ok(())
    }
}

/// The proof was good, its nonce too old (RFC 7616 §3.3).
fn is_stale(challenge: &str) -> bool {
    let parsed = ChallengeParser::new(challenge).filter_map(Result::ok);
    let mut params = parsed.flat_map(|challenge| challenge.params);
    params.any(|(key, value)| {
        key.eq_ignore_ascii_case("stale") && value.as_escaped().eq_ignore_ascii_case("true")
    })
}

/// The schemes alone, for a message.
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
        Prover::new(user.to_owned(), Secret::new("chalk"))
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
        assert_eq!(prover.challenged(&[DIGEST.to_owned()]), Err(Trouble::Refused(401)));
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
        assert_eq!(unknown, Err(Trouble::Challenge("Negotiate".to_owned())));
        let nobody = self::prover("").challenged(&[DIGEST.to_owned()]);
        assert_eq!(nobody, Err(Trouble::Anonymous(401)));
    }
}
