//! What a line may be: one line, of bounded length. Pure.

use std::fmt::Write as _;

/// Bytes of a line at most.
pub(super) const LINE_BYTES: usize = 8 << 10;

/// Makes `line` (with or without its end) one line of text: control characters are escaped, too much is cut off and
/// counted. Colours are ours, where there are any: peers' escape sequences have been escaped before them.
pub(super) fn text(line: &[u8], ansi: bool) -> Vec<u8> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(line.len().min(LINE_BYTES) + 1);
    for (at, c) in line.char_indices() {
        if out.len() > LINE_BYTES {
            // Into a string nothing fails.
            let _ = write!(out, " … {} more bytes", line.len() - at);
            break;
        }
        if is_harmless(c) || ansi && c == '\x1b' { out.push(c) } else { out.extend(c.escape_default()) }
    }
    out.push('\n');
    out.into_bytes()
}

/// Neither a control character (C0, DEL, C1) nor one of those by which Unicode ends or turns lines.
fn is_harmless(c: char) -> bool {
    c == '\t'
        || !c.is_control()
            && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes `line` one object of JSON of bounded length: of one that is too long the message is kept, cut.
pub(super) fn json(line: &[u8]) -> Vec<u8> {
    // What serde writes has no control characters.
    if line.len() <= LINE_BYTES {
        let mut whole = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
        whole.push(b'\n');
        return whole;
    }
    let parsed: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let message: String = match &parsed["fields"]["message"] {
        serde_json::Value::String(message) => message.chars().take(LINE_BYTES / 8).collect(),
        _ => String::new(),
    };
    let kept = ["timestamp", "level", "target"].map(|key| (key.to_owned(), parsed[key].clone()));
    let mut kept: serde_json::Map<String, serde_json::Value> = kept.into_iter().collect();
    kept.insert(
        "fields".to_owned(),
        serde_json::json!({ "message": message, "cut": format!("a line of {} bytes", line.len()) }),
    );
    let mut whole = serde_json::Value::Object(kept).to_string().into_bytes();
    whole.push(b'\n');
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        String::from_utf8(text(line.as_bytes(), false)).expect("UTF-8")
    }

    #[test]
    fn a_peer_cannot_begin_another_line() {
        assert_eq!(said("a b\n"), "a b\n");
        let forged = said("key=x\r\n2026-11-26 ERROR all is lost\x1b[2J\u{2028}\u{85}\u{202e}end\n");
        assert_eq!(forged.lines().count(), 1);
        assert_eq!(forged, "key=x\\r\\n2026-11-26 ERROR all is lost\\u{1b}[2J\\u{2028}\\u{85}\\u{202e}end\n");
        assert_eq!(text(b"\x1b[2mdim\n", true), b"\x1b[2mdim\n");
        assert_eq!(said("caf\u{e9} \u{1f600}\n"), "caf\u{e9} \u{1f600}\n");
        assert_eq!(text(b"\xff\n", false), "\u{fffd}\n".as_bytes());
    }

    #[test]
    fn a_line_is_cut_and_says_so() {
        let long = said(&"é".repeat(LINE_BYTES));
        assert!(long.len() < LINE_BYTES + 40 && long.ends_with(" more bytes\n"), "{}", long.len());
        let message = "x".repeat(20 * LINE_BYTES);
        let line = serde_json::json!({ "level": "WARN", "fields": { "message": message, "path": "y" } });
        let cut = json(format!("{line}\n").as_bytes());
        assert!(cut.len() < LINE_BYTES && cut.ends_with(b"}\n"));
        let cut: serde_json::Value = serde_json::from_slice(&cut).expect("JSON");
        assert_eq!(cut["level"], "WARN");
        assert!(cut["fields"]["cut"].as_str().is_some_and(|cut| cut.contains("bytes")));
    }
}
