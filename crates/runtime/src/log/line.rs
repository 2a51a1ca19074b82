//! Makes a log line safe: one line, of bounded length. Pure.

use std::fmt::Write as _;

/// The most bytes of a line; longer ones are cut.
pub(super) const LINE_BYTES: usize = 8 << 10;

/// Makes `line` (with or without its newline) one line of text: control characters are escaped, and what is too long is cut
/// off and counted. With `ansi`, ESC passes for our own colours: `tracing_subscriber` has escaped those of peers before.
pub(super) fn text(line: &[u8], ansi: bool) -> Vec<u8> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(line.len().min(LINE_BYTES) + 1);
    for (at, c) in line.char_indices() {
        if out.len() > LINE_BYTES {
            // Writing to a string cannot fail.
            let _ = write!(out, " … {} more bytes", line.len() - at);
            break;
        }
        if is_harmless(c) || ansi && c == '\x1b' { out.push(c) } else { out.extend(c.escape_default()) }
    }
    out.push('\n');
    out.into_bytes()
}

/// Neither a control character (C0, DEL, C1) nor one of Unicode's line separators and bidirectional controls.
fn is_harmless(c: char) -> bool {
    c == '\t'
        || !c.is_control()
            && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes `line` one JSON object of bounded length. Of an object that is too long only time, level, target and the
/// message are kept, the message cut.
pub(super) fn json(line: &[u8]) -> Vec<u8> {
    // `serde_json` has escaped control characters already.
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
