//! Faults, as a table of edits and messages; and `config.toml` compared with the defaults.

use std::fs;

use proptest::prelude::*;

use super::*;

const SHIPPED: &str = include_str!("../../../config.toml");

/// `config.toml` with its examples, which are the lines that begin with "#" and no blank after it.
fn with_examples() -> String {
    let uncommented =
        |line: &str| line.strip_prefix('#').filter(|code| !code.starts_with(' ')).map(str::to_owned);
    SHIPPED.lines().map(|line| uncommented(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// `file:line:column: message` of each fault of `text`.
fn faults(text: &str) -> Vec<String> {
    let Err(faults) = Config::parse(text, "c.toml") else { return Vec::new() };
    let printed = faults.to_string();
    printed.lines().filter(|line| line.starts_with("c.toml")).map(str::to_owned).collect()
}

/// The only fault of the examples after `from` is replaced by `to`.
fn only_fault(from: &str, to: &str) -> String {
    let examples = with_examples();
    assert!(examples.contains(from), "{from:?} is not in the examples");
    let text = examples.replacen(from, to, 1);
    let found = faults(&text);
    let [fault] = found.as_slice() else { panic!("{from:?} -> {to:?}: {found:#?}") };
    // The line's text instead of its number, so that config.toml may grow.
    let (_, place) = fault.split_once("c.toml:").expect("a file");
    let (line, rest) = place.split_once(':').expect("a line");
    let line: usize = line.parse().expect("a number");
    format!("{} | {rest}", text.lines().nth(line - 1).unwrap_or("(end)"))
}

#[test]
fn the_shipped_file_says_the_defaults() {
    assert_eq!(
        Config::parse(SHIPPED, "config.toml").map_err(|faults| faults.to_string()),
        Ok(Config::default())
    );
}

#[test]
fn the_examples_of_the_shipped_file_are_good_and_say_the_defaults() {
    let config = Config::parse(&with_examples(), "config.toml").unwrap_or_else(|faults| panic!("{faults}"));
    let [pulled, publishing] = config.sources.as_slice() else { panic!("{:?}", config.sources) };
    assert_eq!((pulled.transport, pulled.keep_open), (Transport::default(), bool::default()));
    assert_eq!(publishing.publish_key.reveal(), "a-secret");
    let [ladder] = config.ladders.as_slice() else { panic!("{:?}", config.ladders) };
    assert_eq!(ladder.audio, Audio::default());
    assert_eq!(ladder.rungs.len(), 3);
    let [channel] = config.channels.as_slice() else { panic!("{:?}", config.channels) };
    let default = Channel::default();
    assert_eq!(
        (&channel.source, channel.live_deadline_ms, channel.hold_ms),
        (&default.source, default.live_deadline_ms, default.hold_ms)
    );
    assert_eq!(config.schedule.rules.len(), 1);
    let [key] = config.access.keys.as_slice() else { panic!("{:?}", config.access.keys) };
    let named = AccessKey { name: key.name.clone(), secrets: key.secrets.clone(), ..AccessKey::default() };
    assert_eq!(*key, named);
    assert_eq!((config.access.networks.len(), config.access.rules.len()), (1, 1));
}

#[test]
fn the_shipped_file_names_every_key() {
    // serde names the keys of a struct in its error about an unknown one.
    fn keys<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
        let error = toml::from_str::<T>("no-such-key = 1").expect_err("unknown keys are refused");
        let (_, names) = error.message().rsplit_once(", expected ").expect("serde's sentence");
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }
    let text = with_examples();
    let all = [
        keys::<Config>(),
        keys::<Server>(),
        keys::<Segment>(),
        keys::<Source>(),
        keys::<Ladder>(),
        keys::<Audio>(),
        keys::<Rung>(),
        keys::<Channel>(),
        keys::<Vod>(),
        keys::<Schedule>(),
        keys::<Rule>(),
        keys::<Admin>(),
        keys::<OpenIdConnect>(),
        keys::<Pages>(),
        keys::<Alarm>(),
        keys::<Webhook>(),
        keys::<WowzaRest>(),
        keys::<Access>(),
        keys::<AccessNetwork>(),
        keys::<AccessKey>(),
        keys::<AccessRule>(),
        keys::<Tls>(),
        keys::<Certificate>(),
        keys::<Acme>(),
    ];
    for key in all.iter().flatten() {
        let written = text.lines().filter(|line| !line.starts_with('#')).any(|line| {
            [format!("{key} = "), format!("[{key}]"), format!(".{key}]")]
                .iter()
                .any(|form| line.contains(form))
        });
        assert!(written, "{key} is not in config.toml");
    }
    assert!(all.iter().all(|keys| keys.len() >= 2), "{all:?}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of faults")]
fn each_fault_of_meaning_is_located() {
    let mut wrong = Vec::new();
    for (from, to, expected) in [
        // Addresses.
        (
            "0.0.0.0:1935",
            "0.0.0.0",
            r#"listen = "0.0.0.0" | 10: listen: "0.0.0.0" is not an address and port like "0.0.0.0:1935" or "[::]:1935""#,
        ),
        (
            "\"0.0.0.0:8080\"",
            "\"x\"",
            r#"http_listen = "x" | 15: http_listen: "x" is not an address and port like "0.0.0.0:1935" or "[::]:1935", or "" for off"#,
        ),
        (
            "0.0.0.0:8080",
            "0.0.0.0:1935",
            r#"http_listen = "0.0.0.0:1935" | 15: http_listen: 0.0.0.0:1935 is taken by listen"#,
        ),
        (
            "127.0.0.1:8088",
            "0.0.0.0:8088",
            r#"admin_listen = "0.0.0.0:8088" | 16: admin_listen: 0.0.0.0:8088 is open to others than this machine; set admin.token or admin.token_file first"#,
        ),
        (
            "state_dir = \"state\"",
            "state_dir = \"\"",
            r#"state_dir = "" | 13: state_dir: a directory is needed"#,
        ),
        // The grid.
        (
            "duration_ms = 2000",
            "duration_ms = 12000",
            r"duration_ms = 12000 | 15: duration_ms: 12000 is not between 500 and 10000",
        ),
        ("window = 6", "window = 2", r"window = 2 | 10: window: 2 segments; players need at least 3"),
        // Names.
        (
            "name = \"PS-Amphi_D\"",
            "name = \"PS Amphi\"",
            r#"name = "PS Amphi" | 8: source "PS Amphi": a name is made of letters, digits, "_", "." and "-", and not of dots alone"#,
        ),
        (
            "name = \"vod\"",
            "name = \"..\"",
            r#"name = ".." | 8: vod "..": a name is made of letters, digits, "_", "." and "-", and not of dots alone"#,
        ),
        ("name = \"multicam\"", "", r"[[source]] | 1: source without a name"),
        (
            "name = \"480p\"",
            "name = \"720p\"",
            r#"name = "720p" | 8: rung "720p" is defined twice: first on line "#,
        ),
        (
            "\"live\", \"PS-Amphi_D\"",
            "\"live\", \"live\"",
            r#"streams = ["live", "live"] | 20: stream "live" is defined twice: first on line "#,
        ),
        (
            "\"live\", \"PS-Amphi_D\"",
            "\"live\", \"live_720p\"",
            r#"streams = ["live", "live_720p"] | 20: channel "Live_PAES": stream "live_720p" is the name of a rung of stream "live""#,
        ),
        (
            "[\"live\", \"PS-Amphi_D\"]",
            "[]",
            r#"streams = [] | 11: channel "Live_PAES": streams needs at least one name, e.g. ["live"]"#,
        ),
        (
            "name = \"vod\"",
            "name = \"Live_PAES\"",
            r#"name = "Live_PAES" | 8: vod "Live_PAES" has the name of the channel on line "#,
        ),
        (
            "name = \"vod\"",
            "name = \"publish\"",
            r#"name = "publish" | 8: vod "publish": this name is reserved by the server"#,
        ),
        (
            "name = \"vod\"",
            "name = \"watch\"",
            r#"name = "watch" | 8: vod "watch": this name is reserved by the server"#,
        ),
        // Pages.
        (
            "public_url = \"\"",
            "public_url = \"https://live.example.org/x?y\"",
            r#"public_url = "https://live.example.org/x?y" | 14: pages: public_url is not an http:// or https:// URL of a host, with or without a path"#,
        ),
        (
            "embed_from = [\"*\"]",
            "embed_from = [\"*; script-src *\"]",
            r#"embed_from = ["*; script-src *"] | 15: pages: embed_from: "*; script-src *" is neither "*" nor an origin like "https://moodle.example.org""#,
        ),
        // References.
        (
            "ladder = \"lecture\"",
            "ladder = \"lectur\"",
            r#"ladder = "lectur" | 10: channel "Live_PAES": ladder "lectur" is not defined (did you mean "lecture"?)"#,
        ),
        ("ladder = \"lecture\"", "", r#"[[channel]] | 1: channel "Live_PAES": ladder is missing"#),
        (
            "\nsource = \"\"",
            "\nsource = \"multicom\"",
            r#"source = "multicom" | 10: channel "Live_PAES": source "multicom" is not defined (did you mean "multicam"?)"#,
        ),
        (
            "\nsource = \"\"",
            "\nsource = \"rtsp://u:hunter2@h/\"",
            r#"source = "rtsp://u:hunter2@h/" | 10: channel "Live_PAES": source "…" is not defined"#,
        ),
        (
            "as in \"Live_$1\".\nchannel = \"Live_PAES\"",
            "\nchannel = \"Live\"",
            r#"channel = "Live" | 11: schedule rule number 1: channel "Live" is not defined"#,
        ),
        // Sources.
        (
            "url = \"rtsp://192.0.2.14/extron1\"",
            "",
            r#"[[source]] | 1: source "PS-Amphi_D": give url (to pull it) or publish_key (if it publishes to us)"#,
        ),
        (
            "publish_key = \"a-secret\"",
            "publish_key = \"a\"\nurl = \"rtsp://h/x\"",
            r#"publish_key = "a" | 15: source "multicam": give url or publish_key, not both"#,
        ),
        (
            "rtsp://192.0.2.14/extron1",
            "http://u:hunter2@h/x",
            r#"url = "http://u:hunter2@h/x" | 7: source "PS-Amphi_D": url does not begin with "rtsp://""#,
        ),
        (
            "rtsp://192.0.2.14/extron1",
            "rtsp://",
            r#"url = "rtsp://" | 7: source "PS-Amphi_D": url names no host"#,
        ),
        // Ladders.
        (
            "sample_rate = 48000",
            "sample_rate = 47000",
            r#"audio = { bitrate = 96000, sample_rate = 47000, channels = 2 } | 42: ladder "lecture": sample_rate: AAC has no rate of 47000; it has 8000, "#,
        ),
        (
            "channels = 2",
            "channels = 6",
            r#"audio = { bitrate = 96000, sample_rate = 48000, channels = 6 } | 60: ladder "lecture": channels: 6 is not 1 or 2"#,
        ),
        (
            "bitrate = 96000",
            "bitrate = 960000",
            r#"audio = { bitrate = 960000, sample_rate = 48000, channels = 2 } | 21: ladder "lecture": audio bitrate: 960000 bit/s is above 576000, "#,
        ),
        (
            "width = 854",
            "width = 853",
            r#"width = 853 | 9: ladder "lecture": rung "480p": width: 853 is not an even number from 16 to 3840"#,
        ),
        (
            "height = 720",
            "height = 4320",
            r#"height = 4320 | 10: ladder "lecture": rung "720p": height: 4320 is not an even number from 16 to 2160"#,
        ),
        (
            "bitrate = 750000",
            "bitrate = 0",
            r#"bitrate = 0 | 11: ladder "lecture": rung "720p" needs bitrate above 0 (or audio_only = true)"#,
        ),
        (
            "audio_only = true",
            "",
            r#"[[ladder.rung]] | 1: ladder "lecture": rung "160p" needs width, height, fps, bitrate above 0 (or audio_only = true)"#,
        ),
        (
            "audio_only = true",
            "audio_only = true\nfps = 15",
            r#"fps = 15 | 7: ladder "lecture": rung "160p": fps is for video, and an audio_only rung has none"#,
        ),
        (
            "fps = 15",
            "fps = 7",
            r#"fps = 7 | 7: ladder "lecture": rung "720p": fps: a picture at 7 pictures/s does not last a whole number of ticks of 90 kHz"#,
        ),
        // Channels.
        (
            "live_deadline_ms = 1000",
            "live_deadline_ms = 99",
            r#"live_deadline_ms = 99 | 20: channel "Live_PAES": live_deadline_ms: 99 is not between 100 and 4000 (two segments)"#,
        ),
        (
            "overrun_max_s = 0",
            "overrun_max_s = 14401",
            r#"overrun_max_s = 14401 | 17: channel "Live_PAES": overrun_max_s: 14401 is more than four hours"#,
        ),
        (
            "root = \"/mnt/nas/opencast/streams/mh_default_org\"",
            "",
            r#"[[vod]] | 1: vod "vod": root is missing"#,
        ),
        (
            "segment_ms = 6000",
            "segment_ms = 100",
            r#"segment_ms = 100 | 14: vod "vod": segment_ms: 100 is not between 1000 and 60000"#,
        ),
        (
            "text_encoding = \"windows-1252\"",
            "text_encoding = \"ebcdic\"",
            r#"text_encoding = "ebcdic" | 17: vod "vod": text_encoding: "ebcdic" is no encoding that is known, such as "windows-1252" or "iso-8859-2""#,
        ),
        // Schedule and admin.
        (
            "\nurl = \"\"",
            "\nurl = \"ftp://h/\"",
            r#"url = "ftp://h/" | 7: schedule: url is not an http:// or https:// URL, nor a file"#,
        ),
        ("poll_s = 180", "poll_s = 0", r"poll_s = 0 | 10: schedule: poll_s must be at least 1"),
        (
            "timeout_s = 20",
            "timeout_s = 0",
            r"timeout_s = 0 | 13: schedule: timeout_s: 0 is not between 1 and 300",
        ),
        (
            "lead_out_s = 600",
            "lead_out_s = 864000",
            r"lead_out_s = 864000 | 14: schedule: lead_out_s: 864000 is more than a day",
        ),
        (
            "timezone = \"\"",
            "timezone = \"Europe/Lutetia\"",
            r#"timezone = "Europe/Lutetia" | 12: schedule: timezone: this machine knows no zone "Europe/Lutetia""#,
        ),
        (
            "shared_sources = []",
            "shared_sources = [\"multicom\"]",
            r#"shared_sources = ["multicom"] | 19: schedule: shared_sources: source "multicom" is not defined (did you mean "multicam"?)"#,
        ),
        (
            "series = '^PAES_\\d{4}_S[12]'",
            "series = '^PAES_(\\d{4}'",
            r"series = '^PAES_(\d{4}' | 10: schedule rule number 1: series: unclosed group",
        ),
        (
            "series = '^PAES_\\d{4}_S[12]'",
            "series = ''",
            r"series = '' | 10: schedule rule number 1: series is missing",
        ),
        (
            "as in \"Live_$1\".\nchannel = \"Live_PAES\"",
            "\nchannel = \"Live_$2\"",
            r#"channel = "Live_$2" | 11: schedule rule number 1: channel: nothing is captured as "2"; to put _x after the first capture, write ${1}_x"#,
        ),
        (
            "password = \"\"\npassword_file = \"\"",
            "password = \"x\"\npassword_file = \"y\"",
            r#"password_file = "y" | 17: schedule: give password or password_file, not both"#,
        ),
        (
            "token = \"\"\ntoken_file = \"\"",
            "token = \"x\"\ntoken_file = \"y\"",
            r#"token_file = "y" | 14: admin: give token or token_file, not both"#,
        ),
        (
            "token = \"\"",
            "token = \"a b\"",
            r#"token = "a b" | 9: admin: token may only have the characters of a bearer token: A-Z a-z 0-9 - . _ ~ + / ="#,
        ),
    ] {
        let found = only_fault(from, to);
        if !found.starts_with(expected) {
            wrong.push(format!("{from:?} -> {to:?}\nexpected {expected}\n   found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_grid_that_no_rung_fits_is_said_of_every_rung() {
    let found = faults(&with_examples().replacen("duration_ms = 2000", "duration_ms = 2050", 1));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|fault| fault.contains("15 pictures/s do not fill a segment of 2050 ms")));
}

#[test]
fn all_faults_are_said_at_once_in_the_files_order() {
    let text = "\
[segment]
window = 1
bogus = 1
[[channel]]
name = \"a\"
streams = [\"live\"]
ladder = \"l\"
hold_mss = 3
[[channel]]
name = \"a\"
streams = [\"b c\"]
ladder = \"l\"
[server]
listen = 5
[[ladder]]
name = \"l\"
";
    assert_eq!(
        faults(text),
        [
            "c.toml:2:10: window: 1 segments; players need at least 3",
            "c.toml:3:1: unknown key \"bogus\"; known here: duration_ms, window",
            "c.toml:8:1: unknown key \"hold_mss\" (did you mean \"hold_ms\"?)",
            "c.toml:10:8: channel \"a\" is defined twice: first on line 5",
            "c.toml:11:12: stream \"b c\": a name is made of letters, digits, \"_\", \".\" and \"-\", and not of dots alone",
            "c.toml:14:10: listen: invalid type: integer `5`, expected a string",
            "c.toml:15:1: ladder \"l\" has no rung",
        ]
    );
}

#[test]
fn faults_of_shape_and_of_meaning_are_said_side_by_side_and_nothing_twice() {
    let text = "\
unheard = 1
[server]
listne = \"0.0.0.0:1\"
http_listen = \"x\"
connections = \"many\"
[admin]
tokn = \"chalk\"
viewer_token = \"a b\"
[[source]]
nmae = \"a\"
url = \"http://x/\"
[[source]]
name = \"b b\"
keep_opn = true
[[source]]
name = \"c\"
ulr = \"rtsp://h/\"
[[ladder]]
name = \"l\"
audio = { bitrate = \"x\", sample_rate = 47000 }
[[ladder.rung]]
name = \"720p\"
widht = 1280
height = 721
fps = 7
bitrate = true
[[channel]]
name = \"c\"
streams = \"live\"
ladder = \"m\"
source = \"nobody\"
live_deadline_ms = -5
overrun_max_s = 99999
[[chanel]]
name = \"d\"
[schedule]
pol_s = 5
timeout_s = 0
[[schedule.rule]]
series = \"(\"
channl = \"x\"
";
    let found = faults(text);
    let places: Vec<(usize, &str)> = found
        .iter()
        .map(|fault| {
            let mut parts = fault.splitn(4, ':');
            let line = parts.nth(1).and_then(|line| line.parse().ok()).expect("a line");
            (line, parts.nth(1).unwrap_or_default().trim())
        })
        .collect();
    let expected = [
        (1, "unknown key \"unheard\""),
        (3, "unknown key \"listne\" (did you mean \"listen\"?)"),
        (4, "http_listen: \"x\" is not an address"),
        (5, "connections: invalid type"),
        (7, "unknown key \"tokn\" (did you mean \"token\"?)"),
        (8, "admin: viewer_token may only have"),
        (10, "unknown key \"nmae\" (did you mean \"name\"?)"),
        (11, "source number 1: url does not begin with"),
        (12, "source number 2: give url (to pull it) or publish_key"),
        (13, "source \"b b\": a name is made of"),
        (14, "unknown key \"keep_opn\" (did you mean \"keep_open\"?)"),
        (17, "unknown key \"ulr\" (did you mean \"url\"?)"),
        (20, "bitrate: invalid type"),
        (20, "ladder \"l\": sample_rate: AAC has no rate of 47000"),
        (23, "unknown key \"widht\" (did you mean \"width\"?)"),
        (24, "ladder \"l\": rung \"720p\": height: 721 is not an even number"),
        (25, "ladder \"l\": rung \"720p\": fps: a picture at 7"),
        (26, "bitrate: invalid type"),
        (29, "streams: invalid type"),
        (30, "channel \"c\": ladder \"m\" is not defined"),
        (32, "live_deadline_ms: invalid value"),
        (33, "channel \"c\": overrun_max_s: 99999 is more than four hours"),
        (34, "unknown key \"chanel\" (did you mean \"channel\"?)"),
        (37, "unknown key \"pol_s\" (did you mean \"poll_s\"?)"),
        (38, "schedule: timeout_s: 0 is not between"),
        (40, "schedule rule number 1: series: "),
        (41, "unknown key \"channl\" (did you mean \"channel\"?)"),
    ];
    assert_eq!(
        places.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        expected.map(|(line, _)| line),
        "{found:#?}"
    );
    for ((_, said), (line, wanted)) in places.iter().zip(expected) {
        assert!(said.starts_with(wanted), "line {line}: {said:?} is not {wanted:?}");
    }
}

#[test]
fn faults_of_shape_are_located() {
    for (text, expected) in [
        ("[sorce]\n", "c.toml:1:2: unknown key \"sorce\" (did you mean \"source\"?)"),
        (
            "[segment]\nduration_ms = \"2\"\n",
            "c.toml:2:15: duration_ms: invalid type: string \"2\", expected a whole number from 0 to 4294967295",
        ),
        (
            "[segment]\nduration_ms = -1\n",
            "c.toml:2:15: duration_ms: invalid value: integer `-1`, expected a whole number from 0 to 4294967295",
        ),
        ("source = [1]\n", "c.toml:1:11: source: invalid type: integer `1`, expected struct Source"),
        ("[admin]\ntoken = 12345\n", "c.toml:2:9: token: expected a text in quotes"),
        ("[[server]]\n", "c.toml:1:1: server: invalid type"),
    ] {
        let found = faults(text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].starts_with(expected), "expected {expected}\n   found {}", found[0]);
    }
}

#[test]
fn faults_of_syntax_are_located_and_end_the_reading_of_their_table_alone() {
    let found = faults("[server\nlisten = 5\n[segment]\nwindow = \n");
    assert!(found[0].starts_with("c.toml:1:8: "), "{found:#?}");
    assert!(found.iter().any(|fault| fault.starts_with("c.toml:4:")), "{found:#?}");
    assert!(found.iter().all(|fault| !fault.contains("listen")), "{found:#?}");
    let found = faults(
        "[server]\nlisten = 1 2\nhttp_listen = \"x\"\n[segment]\nwindow = 1\nbogus = 1\n[[source]]\nname = \"a\"\n[admin]\n\
         token \"chalk\"\n[[channel]]\nname = \"c\"\nstreams = [\"live\"]\nladder = \"l\"\nsource = \"b\"\n\
         [[ladder]\nname = \"l\"\n",
    );
    let lines: Vec<_> = found.iter().filter_map(|fault| fault.split(':').nth(1)).collect();
    assert_eq!(lines.first(), Some(&"2"), "{found:#?}");
    for line in ["5", "6", "10", "16"] {
        assert!(lines.contains(&line), "line {line}: {found:#?}");
    }
    for line in ["3", "14", "15", "17"] {
        assert!(!lines.contains(&line), "line {line} is not to be trusted: {found:#?}");
    }
}

#[test]
fn no_message_carries_a_secret() {
    for text in [
        "[admin]\ntoken = hunter2\n",
        "[admin]\ntoken = \"hunter2\n",
        "[admin]\ntoken \"hunter2\"\n",
        "[admin]\ntokn = \"hunter2\"\n",
        "[admin]\nsecret = \"hunter2\"\n",
        "[admin]\ntoken = [\"hunter2\"]\n",
        "[admin]\ntoken = \"\"\"\nhunter2 \\q\n\"\"\"\n",
        "[admin]\ntoken = \"\"\"\nhunter2",
        "[admin]\ntoken = \"hunter2 !\"\n",
        "source = [{ name = \"a\", url = \"rtsp://u:hunter2@h/\", fps = 1 }]\n",
        "[[source]]\nname = \"rtsp://u:hunter2@h/\"\n",
        "[[source]]\nurl = \"http://u:hunter2@h/\"\nname = \"a\"\n",
        "[[channel]]\nname = \"a\"\nsource = \"rtsp://u:hunter2@h/\"\n",
        "[schedule]\npassword = 'hunter2' 'hunter2'\n",
    ] {
        let faults = Config::parse(text, "c.toml").expect_err(text).to_string();
        assert!(!faults.contains("hunter2"), "{text}\n{faults}");
        assert!(!format!("{:?}", Config::parse(text, "c.toml")).contains("hunter2"), "{text}");
    }
}

#[test]
fn a_fault_is_printed_with_its_line_and_a_caret() {
    let text = "[segment]\nwindow = 1\n";
    assert_eq!(
        Config::parse(text, "c.toml").map_err(|faults| faults.to_string()),
        Err("c.toml:2:10: window: 1 segments; players need at least 3\n  2 | window = 1\n    |          ^"
            .to_owned())
    );
}

#[test]
fn files_are_looked_for_beside_the_configuration() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.toml");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("it is written");
    let text = with_examples()
        .replacen("\ntoken_file = \"\"", "\ntoken_file = \"token\"", 1)
        .replacen("\npassword_file = \"\"", "\npassword_file = \"password\"", 1)
        .replacen("fixtures/waiting.mp4", "waiting.mp4", 1);
    write("config.toml", &text);
    write("token", "\n");

    let report = check(&path);
    assert!(!report.is_good());
    let said: Vec<_> = report
        .absent
        .iter()
        .chain(&report.faults)
        .map(|fault| fault.message.replace(&report.file[..report.file.len() - 11], "…"))
        .collect();
    assert_eq!(
        said,
        [
            "channel \"Live_PAES\": waiting …waiting.mp4: No such file or directory (os error 2)",
            "schedule: password_file …password: No such file or directory (os error 2)",
            "admin: token_file …token: the first line is empty",
        ]
    );
    assert!(report.warnings.iter().any(|warning| warning.message.contains("is not a directory at present")));

    write("token", "abc");
    write("password", "hunter2");
    assert!(Config::load(&path).is_ok(), "a server starts without its waiting video");
    assert!(!check(&path).is_good(), "and whoever checks is told");

    write("token", "  abc \nsecond line\n");
    write("waiting.mp4", "");
    let config = Config::load(&path).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((config.admin.token.reveal(), config.schedule.password.reveal()), ("abc", "hunter2"));
    assert_eq!(config.channels[0].waiting, directory.path().join("waiting.mp4"));
    assert_eq!(config.server.state_dir, directory.path().join("state"));
    assert!(
        check(&path)
            .to_string()
            .ends_with("good: 2 source(s), 1 ladder(s), 1 channel(s), 1 vod mount(s), 2 warning(s)")
    );
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let faults = Config::load(std::path::Path::new("/no/such/config.toml")).expect_err("it is not there");
    assert!(faults.to_string().starts_with("/no/such/config.toml: cannot be read: "), "{faults}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_every_fault_has_its_place(
        from in 0..4000_usize, length in 0..200_usize, put in "[\\[\\]\"'={}a-z0-9 .,#\\n\\tö]{0,12}",
    ) {
        let text = with_examples();
        let end = (from + length).min(text.len());
        let damaged = format!("{}{put}{}", text.get(..from).unwrap_or(&text), text.get(end..).unwrap_or(""));
        if let Err(faults) = Config::parse(&damaged, "c.toml") {
            prop_assert!(!faults.list.is_empty());
            prop_assert!(faults.list.iter().all(|fault| fault.position.is_some() && !fault.message.is_empty()));
            prop_assert!(faults.list.is_sorted_by_key(|fault| fault.position));
            prop_assert!(faults.to_string().starts_with("c.toml:"));
        }
    }
}

#[test]
fn certificates_are_looked_into() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("written");
    let made = |days: i64| {
        let now = std::time::SystemTime::now();
        let mut params = rcgen::CertificateParams::new(["a.example.org".to_owned()]).expect("a name");
        params.not_before = (now - std::time::Duration::from_secs(90 * 86_400)).into();
        let end = std::time::Duration::from_secs(days.unsigned_abs() * 86_400 + 3600);
        params.not_after = if days < 0 { now - end } else { now + end }.into();
        let key = rcgen::KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    };
    let path = directory.path().join("config.toml");
    write(
        "config.toml",
        "[server]\nhttps_listen = \"127.0.0.1:0\"\n[[tls.certificate]]\nchain = \"c\"\nkey = \"k\"\n",
    );
    let told = || {
        let report = check(&path);
        (report.is_good(), report.config.is_some(), report.to_string())
    };
    let (good, starts, said) = told();
    assert!(!good && starts && said.contains("certificate number 1: chain"), "{said}");
    for (chain, key, word, good) in [
        (made(60), None, "1 warning(s)", true),
        (made(10), None, "it expires in 10 day(s)", true),
        (made(-1), None, "it has expired", false),
        (made(60), Some(made(60).1), "does not belong", false),
    ] {
        write("c", &chain.0);
        write("k", key.as_deref().unwrap_or(&chain.1));
        let told = told();
        assert!(told.0 == good && told.1 && told.2.contains(word), "{told:?}");
        assert!(!told.2.contains("PRIVATE"), "{}", told.2);
    }
}

#[test]
fn tls_without_a_certificate_and_what_contradicts_itself_are_faults() {
    let pair = "[[tls.certificate]]\nchain = \"c\"\nkey = \"k\"\n";
    let acme = "[tls.acme]\ndirectory = \"https://a.example/d\"\ndomains = [\"live.example.org\"]\n";
    let https = "[server]\nhttps_listen = \"0.0.0.0:443\"\n";
    for (text, fault) in [
        (https.to_owned(), "https_listen: there is no certificate"),
        ("[server]\nadmin_tls = true\n".to_owned(), "admin_tls: there is no certificate"),
        (format!("{https}{acme}{pair}"), "not both"),
        ("[[tls.certificate]]\nchain = \"c\"\n".to_owned(), "key is missing"),
        ("[tls]\nredirect = true\n".to_owned(), "redirect needs"),
        (acme.replace("https:", "http:"), "not an https:// URL"),
        (acme.replace("live.example.org", "*.example.org"), "not a host name"),
        (format!("{acme}eab_key_id = \"x\"\n"), "give both eab_key_id"),
        (format!("{acme}eab_hmac_key = \"x\"\n"), "give both eab_key_id"),
        (format!("{acme}contact = [\"av@example.org\"]\n"), "mailto:"),
    ] {
        let found = faults(&text);
        assert!(found.len() == 1 && found[0].contains(fault), "{text}: {found:?}");
    }
    for good in
        [format!("{https}{pair}"), format!("{https}{acme}"), format!("{https}[tls]\nredirect = true\n{pair}")]
    {
        assert_eq!(faults(&good), [""; 0], "{good}");
    }
}
