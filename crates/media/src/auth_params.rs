//! The challenges of `WWW-Authenticate` and the credentials of `Authorization`, over HTTP and RTSP (RFC 9110 §11): a scheme and
//! its parameters.

/// How many challenges of one field are read.
pub const MOST_CHALLENGES: usize = 16;

/// The parameters of a challenge or of credentials, in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthParameters(Vec<(String, String)>);

impl AuthParameters {
    /// Reads a field that has no scheme, such as `Authentication-Info` (RFC 9110 §11.6.3).
    pub fn without_scheme(field: &str) -> Self {
        credentials(&format!("x {field}")).map(|(_, all)| all).unwrap_or_default()
    }

    /// The value of the first parameter of this name; names are the same in any case (RFC 9110 §11.2).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The scheme and the parameters of credentials (RFC 9110 §11.6.2); `None` for an empty field.
pub fn credentials(field: &str) -> Option<(String, AuthParameters)> {
    challenges(field).into_iter().next()
}

/// The challenges in a field (RFC 9110 §11.6.1). A word that is not followed by `=` is a scheme.
pub fn challenges(field: &str) -> Vec<(String, AuthParameters)> {
    let mut found: Vec<(String, AuthParameters)> = Vec::new();
    let mut rest = field;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() && after.is_empty() {
            return found;
        }
        let blank = after.trim_start();
        if let Some(value) = blank.strip_prefix('=') {
            let (value, after) = value_of(value.trim_start());
            if let Some((_, AuthParameters(parameters))) = found.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else if found.len() >= MOST_CHALLENGES {
            return found;
        } else {
            found.push((word.to_owned(), AuthParameters::default()));
            rest = after;
        }
    }
}

/// A token or a quoted string (RFC 9110 §5.6.4), and the rest of the text.
fn value_of(text: &str) -> (String, &str) {
    let Some(inside) = text.strip_prefix('"') else {
        let (value, after) = text.split_at(text.find(',').unwrap_or(text.len()));
        return (value.trim().to_owned(), after);
    };
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, inside.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_told_apart() {
        let field =
            "Basic realm=\"a, b\",Digest realm = x , nonce=\"q\\\"r\" ,algorithm=MD5, Negotiate, , Bearer";
        let found = challenges(field);
        let schemes: Vec<&str> = found.iter().map(|(scheme, _)| scheme.as_str()).collect();
        assert_eq!(schemes, ["Basic", "Digest", "Negotiate", "Bearer"]);
        let (basic, digest) = (&found[0].1, &found[1].1);
        assert_eq!(basic.get("REALM"), Some("a, b"));
        assert_eq!(
            [digest.get("realm"), digest.get("nonce"), digest.get("qop")],
            [Some("x"), Some("q\"r"), None]
        );
        assert_eq!(challenges(&"A ".repeat(40)).len(), MOST_CHALLENGES);
    }

    #[test]
    fn credentials_are_the_first_scheme_and_its_parameters() {
        let (scheme, shown) =
            credentials("Digest uri=\"/a?b=c,d\", nc=00000001, nonce=YWI==, nc=2").expect("credentials");
        assert_eq!(scheme, "Digest");
        assert_eq!(shown.get("uri"), Some("/a?b=c,d"));
        assert_eq!(
            [shown.get("nc"), shown.get("nonce")],
            [Some("00000001"), Some("YWI==")],
            "the first of each name"
        );
        assert_eq!(credentials(" ,"), None);
        assert_eq!(credentials("Digest a=\"b").expect("credentials").1.get("a"), Some("b"));
        assert_eq!(AuthParameters::without_scheme("nextnonce=\"7\"").get("nextnonce"), Some("7"));
    }
}
