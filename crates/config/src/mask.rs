//! Removes secrets from quoted lines of the file.
//!
//! This works on the text, not on the parsed document, because a line is quoted above all when the document
//! could *not* be parsed. It hides too much rather than too little: the rest of the line after the first word that is, or
//! looks like, the key of a secret.

use super::suggest::closest;

/// Keys whose values are never shown.
pub(super) const SECRET_KEYS: [&str; 9] = [
    "url",
    "publish_key",
    "password",
    "token",
    "viewer_token",
    "client_secret",
    "secrets",
    "grant_secret",
    "eab_hmac_key",
];

/// `line` without what may be secret in it.
pub(super) fn line(line: &str) -> String {
    match cut(line) {
        Some(at) => shortened(line, at),
        None => line.to_owned(),
    }
}

/// `line` without what may be secret in it, and without the value that follows its first `columns` characters.
pub(super) fn line_behind(line: &str, columns: usize) -> String {
    let behind = line.char_indices().nth(columns).map(|(at, _)| value_start(line, at));
    match (cut(line), behind) {
        (Some(one), Some(other)) => shortened(line, one.min(other)),
        (Some(at), None) | (None, Some(at)) => shortened(line, at),
        (None, None) => line.to_owned(),
    }
}

/// For each line, whether it lies inside a secret that began on an earlier line (`password = """`).
pub(super) fn hidden_lines(lines: &[&str]) -> Vec<bool> {
    let mut open: Option<&str> = None;
    let hide = |line: &&str| {
        if let Some(delimiter) = open {
            if line.contains(delimiter) {
                open = None;
            }
            return true;
        }
        let value = cut(line).and_then(|at| line.get(at..)).unwrap_or_default();
        open = ["\"\"\"", "'''"].into_iter().find(|delimiter| value.matches(delimiter).count() == 1);
        false
    };
    lines.iter().map(hide).collect()
}

fn shortened(line: &str, at: usize) -> String {
    match line.split_at_checked(at) {
        Some((kept, left_out)) if !left_out.trim().is_empty() => format!("{kept}…"),
        _ => line.to_owned(),
    }
}

/// Where a secret begins: after a secret's key, or after the `://` of a URL that carries credentials.
fn cut(line: &str) -> Option<usize> {
    let key = words(line)
        .find(|(_, word)| closest(&word.to_ascii_lowercase(), SECRET_KEYS).is_some())
        .map(|(at, word)| value_start(line, at + word.len()));
    let credentials =
        line.find("://").map(|at| at + 3).filter(|&at| line.get(at..).is_some_and(|rest| rest.contains('@')));
    key.into_iter().chain(credentials).min()
}

/// The words of a line (runs of the characters of a bare key in TOML), with the byte at which each begins.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let in_word = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    let starts = line.char_indices().filter(move |&(at, char)| {
        in_word(char) && !line.get(..at).is_some_and(|before| before.ends_with(in_word))
    });
    starts.map(move |(at, _)| {
        let rest = line.get(at..).unwrap_or_default();
        (at, rest.split(|char| !in_word(char)).next().unwrap_or_default())
    })
}

/// Where the value begins: after the quote, blanks and `=` that may follow a key.
fn value_start(line: &str, key_end: usize) -> usize {
    let rest = line.get(key_end..).unwrap_or_default();
    let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    line.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_behind_keys_of_secrets_are_left_out() {
        for (given, shown) in [
            ("fps = 15 # pictures", "fps = 15 # pictures"),
            ("token_file = \"/run/token\"", "token_file = \"/run/token\""),
            ("url=\"rtsp://a:b@c\"", "url=…"),
            ("  \"password\" = 'x'", "  \"password\" = …"),
            ("  'password'='x'", "  'password'=…"),
            ("admin.token = 12", "admin.token = …"),
            ("{ name = \"a\", url = \"rtsp://x\", fps = 1 }", "{ name = \"a\", url = …"),
            ("pasword = \"x\"", "pasword = …"),
            ("Password \"x\"", "Password …"),
            ("source = \"rtsp://a:b@c/d\"", "source = \"rtsp://…"),
            ("url =", "url ="),
            ("client_secret = \"x\"", "client_secret = …"),
        ] {
            assert_eq!(line(given), shown);
        }
    }

    #[test]
    fn everything_behind_an_unknown_key_is_left_out() {
        assert_eq!(line_behind("secret = \"x\"", 6), "secret = …");
        assert_eq!(line_behind("[sorce]", 6), "[sorce…");
        assert_eq!(line_behind("ö", 5), "ö");
    }

    #[test]
    fn a_secret_of_several_lines_is_hidden_to_its_end() {
        let lines = ["token = '''", "a", "b'''", "x = 1", "token = '''a'''", "y = 2"];
        assert_eq!(hidden_lines(&lines), [false, true, true, false, false, false]);
    }
}
