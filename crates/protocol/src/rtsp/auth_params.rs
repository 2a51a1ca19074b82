//! Challenges and credentials of `WWW-Authenticate` and `Authorization` (RFC 9110 §11), as words and parameters.

/// How many challenges of one reply are read.
pub(super) const MOST_CHALLENGES: usize = 16;

/// The value of the first parameter of this name; names are the same in any case (RFC 9110 §11.2).
pub(super) fn find(parameters: &[(String, String)], name: &str) -> Option<String> {
    parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}

/// The challenges in a header field (RFC 9110 §11.6.1). A word that is not followed by `=` is a scheme.
pub(super) fn split(field: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut challenges: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = field;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() && after.is_empty() {
            return challenges;
        }
        let blank = after.trim_start();
        if let Some(value) = blank.strip_prefix('=') {
            let (value, after) = value_of(value.trim_start());
            if let Some((_, parameters)) = challenges.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else if challenges.len() >= MOST_CHALLENGES {
            return challenges;
        } else {
            challenges.push((word.to_owned(), Vec::new()));
            rest = after;
        }
    }
}

/// The parameters in a field that has no scheme.
pub(super) fn parameters(field: &str) -> Vec<(String, String)> {
    split(&format!("x {field}")).into_iter().next().map(|(_, all)| all).unwrap_or_default()
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
