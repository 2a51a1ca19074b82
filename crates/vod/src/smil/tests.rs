//! What Opencast writes, what Wowza and XML readers take, and what is damaged.

use proptest::prelude::*;

use super::*;

const OPENCAST: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?><smil><head/><body><switch><video height="360" src="mp4:engage-player/5ab/9e2/PAES_low" video-bitrate="374532" width="640"/><video height="720" src="mp4:engage-player/5ab/1d6/PAES_hd" video-bitrate="1187443" width="1280"/></switch></body></smil>"#;

#[test]
fn what_opencast_writes() {
    let smil = Smil::parse(OPENCAST).expect("sound");
    let seen: Vec<_> = smil.renditions.iter().map(|it| (&*it.path, it.bitrate_bps)).collect();
    assert_eq!(
        seen,
        [("engage-player/5ab/9e2/PAES_low.mp4", 374_532), ("engage-player/5ab/1d6/PAES_hd.mp4", 1_187_443)]
    );
    let older = OPENCAST.replace("video-bitrate", "system-bitrate");
    assert_eq!(Smil::parse(&older), Ok(smil));
}

#[test]
fn what_wowza_takes() {
    let text = r#"<smil title="Rynek Cam"><head></head><body><switch>
        <video src="a.b.stream" width="1920"><param name="videoBitrate" value="4300000" valuetype="data"/></video>
        <video begin="30.0" dur="40.0" src="mp4:sample.mp4" system-bitrate="0"/>
        <audio src="mp4:/sound.m4a" audio-bitrate="64000" begin="00:01:30.5" dur="1500ms"/>
        <textstream src="video.fr.vtt" system-language="fr"/></switch></body></smil>"#;
    let smil = Smil::parse(text).expect("sound");
    assert_eq!(smil.title.as_deref(), Some("Rynek Cam"));
    let trims: Vec<_> = smil.renditions.iter().map(|it| (&*it.path, it.bitrate_bps, it.trim)).collect();
    let trim = |start_ms, duration_ms| Trim { start_ms, duration_ms };
    assert_eq!(
        trims,
        [
            ("a.b.stream.mp4", 4_300_000, trim(0, None)),
            ("sample.mp4", 0, trim(30_000, Some(40_000))),
            ("sound.m4a", 64_000, trim(90_500, Some(1500))),
        ]
    );
    assert_eq!(smil.texts, [TextStream { path: "video.fr.vtt".to_owned(), language: "fr".to_owned() }]);
}

#[test]
fn wowzas_parameters_choose_tracks() {
    let text = r#"<smil><body><switch>
        <video src="a"><param name="audioOnly" value="true" valuetype="data"/></video>
        <video src="a"><param name="videoOnly" value="TRUE"/><param name="videoCodecId" value="avc1.64002A"/></video>
        <video src="a" system-bitrate="1"><param name="audioOnly" value="false"/></video>
        <textstream src="a.fr.srt"><param name="isWowzaCaptionStream" value="true"/></textstream>
        </switch></body></smil>"#;
    let smil = Smil::parse(text).expect("sound");
    let kinds: Vec<_> = smil.renditions.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [TrackSelection::Sound(0), TrackSelection::Picture, TrackSelection::Both]);
    assert_eq!(smil.texts, [TextStream { path: "a.fr.srt".to_owned(), language: "und".to_owned() }]);
}

#[test]
fn faults_name_their_line() {
    for (text, said) in [
        ("<html/>", "line 1: the root element is \"html\", not \"smil\""),
        ("<smil>\n<body/></smil>", "line 1: it has no video"),
        ("<smil>\n<video/></smil>", "line 2: video without src"),
        ("\n\n<smil>\n<video></smil>", "line 4: expected 'video' tag, not 'smil' at 4:8"),
        ("<smil><video src='../a'/></smil>", "line 1: src \"../a\" leads out of the mount"),
        ("<smil><video src='a%2f..%2Fb'/></smil>", "line 1: src \"a%2f..%2Fb\" leads out of the mount"),
    ] {
        assert_eq!(Smil::parse(text).expect_err("a fault").to_string(), said);
    }
    // A file that is cut off anywhere is a fault, never half a playlist.
    for end in 1..OPENCAST.len() {
        assert!(Smil::parse(&OPENCAST[..end]).is_err(), "{end} bytes");
    }
}

#[test]
fn what_is_not_needed_refuses_nothing() {
    let smil = Smil::parse(
        "<smil><body>\n<switch>\n<video src='mp4:a' system-bitrate='fast' begin='soon' dur='indefinite'/>\n\
         <video/><textstream src=' '/>\n<video src='b' video-bitrate='best' system-bitrate='500k' dur='1:2:3:4'/></switch></body></smil>",
    );
    let smil = smil.expect("two can be played");
    let rates: Vec<_> = smil.renditions.iter().map(|it| (&*it.path, it.bitrate_bps, it.trim)).collect();
    assert_eq!(rates, [("a.mp4", 0, Trim::default()), ("b.mp4", 500_000, Trim::default())]);
    let told: Vec<_> = smil.left_out.iter().map(ToString::to_string).collect();
    let expected = [
        "line 3: system-bitrate \"fast\" is not a bit rate",
        "line 3: begin \"soon\" is not a time",
        "line 4: video without src",
        "line 4: textstream without src",
        "line 5: video-bitrate \"best\" is not a bit rate",
        "line 5: dur \"1:2:3:4\" is not a time",
    ];
    assert_eq!(told, expected);
    let many = format!("<smil><video src='a'/>{}</smil>", "<video/>".repeat(500));
    assert_eq!(Smil::parse(&many).expect("one").left_out.len(), 20);
}

#[test]
fn units_cases_and_blanks_make_no_difference() {
    let plain = Smil::parse(
        r#"<smil title="T"><body><switch><video src="a.mp4" system-bitrate="500000" begin="10" dur="90"/></switch></body></smil>"#,
    );
    let plain = plain.expect("sound");
    for text in [
        r#"<smil title=" T "><body><switch><video src=" mp4:a.mp4 " system-bitrate=" 500k " begin="10s" dur="00:01:30"/></switch></body></smil>"#,
        r#"<SMIL TITLE="T"><Body><Video SRC="MP4:a.mp4" System-Bitrate="0.5 Mbps" BEGIN="10000ms" Dur="1.5min"/></Body></SMIL>"#,
        r#"<smil title="T"><par><video src="./a" systemBitrate="500 kbit/s" begin="+10s" dur="01:30"/></par></smil>"#,
        r#"<smil title="T"><seq><ref src="/a.mp4" begin="10" dur="90 sec"><PARAM NAME="video-bitrate" VALUE="500000"/></ref></seq></smil>"#,
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="Title" content="T"/></head><video src="a.mp4" audioBitrate="500000" begin="10" dur="90"/></smil>"#,
        r#"<s:smil xmlns:s="http://www.w3.org/ns/SMIL" title="T"><s:video src="a.mp4" s:system-bitrate="500000" begin="10" dur="90"/></s:smil>"#,
        r#"<w:smil title="T" x:y="1"><w:video src="a.mp4" q:z="2" system-bitrate="500000" begin="10" dur="90"/></w:smil>"#,
    ] {
        assert_eq!(Smil::parse(text).as_ref(), Ok(&plain), "{text}");
    }
}

#[test]
fn a_document_type_and_its_entities_are_read_within_bounds() {
    let video =
        "<smil><body><video src=\"mp4:a.mp4\" title=\"&name;\" system-bitrate=\"500000\"/></body></smil>";
    for doctype in [
        "<!DOCTYPE smil PUBLIC \"-//W3C//DTD SMIL 2.0//EN\" \"http://www.w3.org/2001/SMIL20/SMIL20.dtd\">",
        "<!DOCTYPE smil SYSTEM \"smil.dtd\">",
        "<!DOCTYPE smil>",
        "<!DOCTYPE smil [<!ENTITY name \"T\"><!ELEMENT video EMPTY><!ATTLIST video src CDATA #REQUIRED>]>",
    ] {
        let text = format!("<?xml version=\"1.0\"?>{doctype}{}", video.replace("&name;", "T"));
        assert_eq!(Smil::parse(&text).expect(doctype).renditions[0].bitrate_bps, 500_000);
    }
    let named =
        format!("<!DOCTYPE smil [\n<!ENTITY first \"T\">\n<!ENTITY name \"&first; &amp; U\">]>{video}");
    assert_eq!(Smil::parse(&named).expect("its own entities").title.as_deref(), Some("T & U"));
    // Nothing is fetched; what is not known is a fault.
    let outside = format!("<!DOCTYPE smil [<!ENTITY name SYSTEM \"file:///etc/passwd\">]>{video}");
    assert!(Smil::parse(&outside).is_err());
    let laughs: String = (1..10)
        .map(|n| ["<!ENTITY l", &n.to_string(), " \"", &format!("&l{};", n - 1).repeat(10), "\">"].concat())
        .collect();
    let laughs = format!("<!DOCTYPE smil [<!ENTITY l0 \"ha\">{laughs}]>{}", video.replace("&name;", "&l9;"));
    assert!(Smil::parse(&laughs).is_err());
    let long = format!(
        "<!DOCTYPE smil [<!ENTITY a \"{}\">]>\n{}",
        "a".repeat(100_000),
        video.replace("&name;", &"&a;".repeat(100_000))
    );
    assert_eq!(
        Smil::parse(&long).expect_err("40 GB").to_string(),
        "line 1: its entities would become too long"
    );
}

#[test]
fn a_file_is_read_in_the_encoding_that_it_declares() {
    let body = "<smil><body><video src='mp4:leçon.mp4' title='été'/></body></smil>";
    let latin = |text: &str| text.chars().map(|char| u32::from(char) as u8).collect::<Vec<u8>>();
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for octets in [
        latin(&format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{body}")),
        latin(&format!("\n<?xml version='1.0' encoding='windows-1252' standalone='yes' ?>\n{body}")),
        latin(body),
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{body}").into_bytes(),
        format!("\u{feff}{body}\0\0\0").into_bytes(),
        utf_16(&format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>{body}")),
        utf_16(&format!("<?xml version=\"1.0\" encoding=\"utf-16le\"?>{body}")),
    ] {
        let smil = Smil::read(&octets).expect("sound");
        assert_eq!((&*smil.renditions[0].path, smil.title.as_deref()), ("leçon.mp4", Some("été")));
    }
}

#[test]
fn a_source_may_be_a_url() {
    let paths = |source: &str| {
        let smil = Smil::parse(&format!("<smil><video src='{source}'/></smil>")).expect(source);
        let first = smil.renditions.into_iter().next().expect("one");
        (first.path, first.path_of_url)
    };
    let both = |one: &str, other: &str| (one.to_owned(), Some(other.to_owned()));
    assert_eq!(paths("mp4:a/b.mp4"), ("a/b.mp4".to_owned(), None));
    assert_eq!(paths("mp4:le%C3%A7on%201"), both("le%C3%A7on%201.mp4", "leçon 1.mp4"));
    assert_eq!(paths("a.mp4?token=1&amp;b#t=3"), both("a.mp4?token=1&b#t=3.mp4", "a.mp4"));
    assert_eq!(paths("mp4:a\\b.mp4"), both("a\\b.mp4", "a/b.mp4"));
    assert_eq!(paths("100%.mp4"), ("100%.mp4".to_owned(), None));
    assert_eq!(paths("a%ff.mp4"), ("a%ff.mp4".to_owned(), None), "not UTF-8");
}

proptest! {
    #[test]
    fn nothing_panics(text in "(<smil>|<video src='|'/>|mp4:|begin='|[0-9:.]{1,4}|</smil>|.){0,12}") {
        let _ = Smil::parse(&text);
    }
}
