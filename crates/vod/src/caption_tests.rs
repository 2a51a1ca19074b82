//! Subtitles of a mount: found, read, named, kept.

use std::path::Path;

use super::tests::{fixture, mount};
use super::*;
use amphi_media::charset::Encoding;

/// A folder with a recording, and what is asked of it.
struct Shelf {
    root: tempfile::TempDir,
    mount: Mount,
}

impl Shelf {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
        Self { mount: mount(root.path()), root }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(path.parent().expect("beneath the root")).expect("made");
        std::fs::write(path, text).expect("written");
        self.look_again();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.root.path().join(name)).expect("removed");
        self.look_again();
    }

    fn look_again(&self) {
        self.mount.forget_stamps();
    }

    async fn texts(&self, stream: &RecordingStream) -> Vec<ListedText> {
        let opened = self.mount.open(stream).await.expect("opened");
        self.mount.texts(stream, &opened).await.expect("listed")
    }

    async fn languages(&self, stream: &RecordingStream) -> Vec<String> {
        self.texts(stream).await.into_iter().map(|text| text.language).collect()
    }

    /// The text of a segment, or why there is none.
    async fn segment(
        &self,
        stream: &RecordingStream,
        name: &TextName,
        part: usize,
    ) -> Result<String, VodFault> {
        let opened = self.mount.open(stream).await.expect("opened");
        let names = self.mount.text_names(stream, &opened, name).await?;
        Ok(self.mount.captions(stream, &opened, &names).await?.segment(part))
    }

    async fn named(&self, stream: &RecordingStream, text: &ListedText) -> String {
        self.segment(stream, &TextName::Names(text.names.clone()), 0).await.expect("a segment")
    }
}

fn file() -> RecordingStream {
    RecordingStream::File("a.mp4".to_owned())
}

fn srt(text: &str) -> String {
    format!("1\n00:00:01,000 --> 00:00:04,000\n{text}\n")
}

const EMPTY: &str = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n";

#[tokio::test]
async fn files_of_every_kind_stand_beside_a_recording() {
    let shelf = Shelf::new();
    shelf.write("a.fr.srt", b"1\r\n00:00:01,000 --> 00:00:04,000\r\n\xc9l\xe8ve \xe0 gauche\r\n");
    shelf.write("a.de.VTT", "WEBVTT\n\n00:01.000 --> 00:02.000\nDeutsch\n");
    let wide: Vec<u8> = srt("English").encode_utf16().flat_map(u16::to_le_bytes).collect();
    shelf.write("a.en.srt", [&[0xff, 0xfe], &wide[..]].concat());
    shelf.write("a.it.dfxp", "<tt><body><div><p begin='1s' end='2s'>Italiano</p></div></body></tt>");
    shelf.write("a.es.ttml", "<tt><body><div><p begin='1s' end='2s'>Castellano</p></div></body></tt>");
    // Of one language the first, and no chapters.
    shelf.write("a.fr.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nanother\n");
    shelf.write("a.chapters.vtt", "WEBVTT\n\n00:00.000 --> 00:10.000\n<b>R&amp;D</b>\n");
    let texts = shelf.texts(&file()).await;
    let languages: Vec<&str> = texts.iter().map(|text| &*text.language).collect();
    assert_eq!(languages, ["de", "en", "es", "fr", "it"]);
    for (text, told) in texts.iter().zip(["Deutsch", "English", "Castellano", "Élève à gauche", "Italiano"])
    {
        let segment = shelf.named(&file(), text).await;
        assert!(segment.ends_with(&format!("\n{told}\n")), "{segment}");
    }
    let opened = shelf.mount.open(&file()).await.expect("opened");
    let chapters = shelf.mount.chapters_beside(&file(), &opened).await.expect("read").expect("there");
    assert_eq!(chapters.chapters()[0].text, "R&D");
}

#[tokio::test]
async fn the_encoding_is_that_of_the_configuration() {
    let shelf = Shelf::new();
    shelf.write("a.ru.srt", b"1\n00:00:01,000 --> 00:00:04,000\n\xcf\xf0\xe8\xe2\xe5\xf2\n");
    let settings = MountSettings {
        root: shelf.root.path().to_owned(),
        text_encoding: Encoding::for_label(b"windows-1251").expect("known"),
        ..MountSettings::default()
    };
    let shelf = Shelf { mount: Mount::new(settings), ..shelf };
    let texts = shelf.texts(&file()).await;
    assert!(shelf.named(&file(), &texts[0]).await.ends_with("\nПривет\n"));
}

#[tokio::test]
async fn what_is_missing_or_no_subtitles_is_not_listed() {
    let shelf = Shelf::new();
    let video = "<smil><body><switch><video src='mp4:a.mp4'/>";
    let texts =
        [("gone.fr.vtt", "fr"), ("a.dfxp", "it"), ("odd.xml", "es"), ("empty.srt", "en"), ("in/b.srt", "de")];
    let streams: Vec<String> = texts
        .iter()
        .map(|(path, language)| format!("<textstream src='{path}' system-language='{language}'/>"))
        .collect();
    shelf.write("x.smil", format!("{video}{}</switch></body></smil>", streams.concat()));
    shelf.write("odd.xml", "<html/>");
    shelf.write("empty.srt", "");
    shelf.write("in/b.srt", srt("Deutsch"));
    let smil = RecordingStream::Smil("x.smil".to_owned());
    assert_eq!(shelf.languages(&smil).await, ["de"]);
    // What comes later is listed then.
    shelf.write("a.dfxp", "<tt><body><div><p begin='1s' end='2s'>Italiano</p></div></body></tt>");
    assert_eq!(shelf.languages(&smil).await, ["it", "de"]);
    // If the one of a language cannot be read, another can.
    shelf.write("a.fr.srt", "no times");
    shelf.write("a.fr.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nFrançais\n");
    let beside = Shelf { mount: mount(shelf.root.path()), ..shelf };
    let texts = beside.texts(&file()).await;
    assert!(texts.len() == 1 && beside.named(&file(), &texts[0]).await.contains("Français"));
}

#[tokio::test]
async fn a_text_beside_the_playlist_is_found() {
    let shelf = Shelf::new();
    shelf.write(
        "in/x.smil",
        "<smil><body><video src='mp4:a.mp4'/><textstream src='b.srt' system-language='de'/></body></smil>",
    );
    shelf.write("in/b.srt", srt("Deutsch"));
    let smil = RecordingStream::Smil("in/x.smil".to_owned());
    let texts = shelf.texts(&smil).await;
    assert!(texts.len() == 1 && shelf.named(&smil, &texts[0]).await.contains("Deutsch"));
}

#[tokio::test]
async fn a_new_language_changes_no_old_name() {
    let shelf = Shelf::new();
    shelf.write("a.fr.srt", srt("Bonjour"));
    let french = shelf.texts(&file()).await.remove(0);
    let number = TextName::Number(0);
    assert!(shelf.segment(&file(), &number, 0).await.expect("a segment").contains("Bonjour"));
    assert_eq!(shelf.segment(&file(), &TextName::Number(1), 0).await, Err(VodFault::NotFound));

    shelf.write("a.de.srt", srt("Guten Tag"));
    let again = Shelf { mount: mount(shelf.root.path()), ..shelf };
    let both = again.texts(&file()).await;
    assert_eq!((both.len(), &both[1]), (2, &french), "it has the same names as before");
    assert!(again.named(&file(), &french).await.contains("Bonjour"));
    // Nobody asked this mount before, and it cannot be told any more what the number meant.
    assert_eq!(again.segment(&file(), &number, 0).await, Err(VodFault::NotFound));
}

#[tokio::test]
async fn a_number_goes_on_meaning_what_it_meant() {
    let shelf = Shelf::new();
    shelf.write(
        "x.smil",
        "<smil><body><video src='mp4:a.mp4'/><textstream src='b.srt' system-language='fr'/></body></smil>",
    );
    shelf.write("b.srt", srt("Bonjour"));
    let smil = RecordingStream::Smil("x.smil".to_owned());
    let number = TextName::Number(0);
    assert!(shelf.segment(&smil, &number, 0).await.expect("a segment").contains("Bonjour"));
    shelf.write("c.srt", srt("Guten Tag"));
    let two = "<smil><body><video src='mp4:a.mp4'/><textstream src='c.srt' system-language='de'/><textstream src='b.srt' system-language='fr'/></body></smil>";
    shelf.write("x.smil", two);
    assert_eq!(shelf.languages(&smil).await, ["de", "fr"]);
    assert!(shelf.segment(&smil, &number, 0).await.expect("a segment").contains("Bonjour"));
    // An old name is of the present text.
    shelf.write("b.srt", srt("Bonsoir à tous"));
    assert!(shelf.segment(&smil, &number, 0).await.expect("a segment").contains("Bonsoir"));
    shelf.remove("b.srt");
    assert_eq!(shelf.segment(&smil, &number, 0).await.as_deref(), Ok(EMPTY));
}

#[tokio::test]
async fn who_watches_goes_on_with_the_text_that_they_began() {
    let shelf = Shelf::new();
    shelf.write("a.fr.srt", srt("Bonjour"));
    let began = shelf.texts(&file()).await.remove(0);
    shelf.write("a.fr.srt", srt("Bonjour à tous"));
    let now = shelf.texts(&file()).await.remove(0);
    assert_ne!(now.names, began.names);
    assert!(shelf.named(&file(), &began).await.ends_with("Bonjour\n"));
    assert!(shelf.named(&file(), &now).await.ends_with("Bonjour à tous\n"));
    // After a restart only the present one is there.
    let restarted = Shelf { mount: mount(shelf.root.path()), ..shelf };
    assert!(restarted.named(&file(), &began).await.ends_with("Bonjour à tous\n"));
    // It is gone: no cues, and no error that would end the recording.
    restarted.remove("a.fr.srt");
    assert_eq!(restarted.languages(&file()).await, [""; 0]);
    let gone = Shelf { mount: mount(restarted.root.path()), ..restarted };
    assert_eq!(gone.named(&file(), &now).await, EMPTY);
}

#[tokio::test]
async fn the_text_of_one_recording_is_not_had_by_another() {
    let shelf = Shelf::new();
    shelf.write("a.fr.srt", srt("Secret"));
    shelf.write("b.mp4", fixture("hall_a.mp4"));
    let text = shelf.texts(&file()).await.remove(0);
    assert!(shelf.named(&file(), &text).await.contains("Secret"));
    let other = RecordingStream::File("b.mp4".to_owned());
    assert_eq!(shelf.named(&other, &text).await, EMPTY);
}

#[tokio::test]
async fn playlists_and_manifests_name_what_is_there() {
    let shelf = Shelf::new();
    shelf.write("a.fr.srt", srt("Bonjour"));
    let opened = shelf.mount.open(&file()).await.expect("opened");
    let texts = shelf.mount.texts(&file(), &opened).await.expect("listed");
    let FileNames { key, tag } = &texts[0].names;
    let name = format!("text_{key}_{tag}");
    let list = opened.multivariant(Trim::default(), &texts);
    assert!(list.contains("NAME=\"fr 1\"") && list.contains(&format!("URI=\"{name}.m3u8\"")), "{list}");
    assert!(opened.manifest(Trim::default(), &texts).contains(&format!("<BaseURL>{name}.vtt</BaseURL>")));
    let media = opened.text_playlist(&texts[0].names, Trim::default());
    assert!(media.contains(&format!("\n{name}_0.vtt\n")), "{media}");
}

#[tokio::test]
async fn subtitles_that_cannot_be_read_are_listed_until_they_can() {
    let shelf = Shelf::new();
    let smil = "<smil><body><switch><video src='a'/><textstream src='notes.txt' system-language='de'/></switch></body></smil>";
    shelf.write("x.smil", smil);
    shelf.write("notes.txt", "Nothing that is shown.");
    shelf.write("a.fr.srt", format!("{}\n2\n00:00:0x --> 00:00:05,000\nPerdu\n", srt("Bonjour")));
    let stream = RecordingStream::Smil("x.smil".to_owned());
    assert_eq!(shelf.languages(&stream).await, ["fr"]);
    let listed = shelf.mount.list().await.expect("a list");
    let of = |file: &str| listed[0].left_out.iter().filter(|part| part.file == file).collect::<Vec<_>>();
    let (lost, unread) = (of("a.fr.srt"), of("notes.txt"));
    assert!(lost.len() == 1 && lost[0].reason.starts_with("line "), "{listed:?}");
    assert!(unread.len() == 1 && unread[0].reason.contains("no subtitles"), "{listed:?}");
    assert!(lost[0].kind.as_deref() == Some("text") && unread[0].kind.as_deref() == Some("text"));
    assert_eq!((shelf.mount.reports().len(), shelf.mount.serious_reports(3).0), (2, 0));

    shelf.mount.look(&RecordingStream::File("notes.txt".to_owned())).await;
    assert_eq!(shelf.mount.reports().len(), 2, "it is as it was, and no film");
    shelf.write("a.fr.srt", srt("Bonjour à tous"));
    shelf.remove("notes.txt");
    for report in shelf.mount.reports() {
        shelf.mount.look(&RecordingStream::File(report.path)).await;
    }
    assert_eq!(shelf.mount.reports(), []);
}

/// A fixture with a text track, whose samples stand behind everything else.
fn with_track(root: &Path) {
    let mut file = fixture("hall_a.mp4");
    let samples: [&[u8]; 3] = [b"\0\x07Bonjour", b"\0\0", b"\0\x06\xc3\xa0 <i>"];
    let track = text_track(file.len() as u32, &samples);
    let moov = file.windows(4).position(|word| word == b"moov").expect("a moov") - 4;
    let size = u32::from_be_bytes(file[moov..moov + 4].try_into().expect("four bytes"));
    // The index goes to the end, so that no sample moves.
    let mut index = file[moov..moov + size as usize].to_vec();
    index.extend(&track);
    index[..4].copy_from_slice(&(size + track.len() as u32).to_be_bytes());
    file[moov + 4..moov + 8].copy_from_slice(b"free");
    let samples = samples.concat();
    file.extend((samples.len() as u32 + 8).to_be_bytes());
    file.extend(b"mdat");
    file.extend(samples);
    file.extend(index);
    std::fs::write(root.join("t.mp4"), file).expect("written");
}

/// A `tx3g` track whose samples of two seconds begin eight bytes after `at`.
fn text_track(at: u32, samples: &[&[u8]]) -> Vec<u8> {
    let boxed =
        |kind: &[u8; 4], body: Vec<u8>| [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let count = samples.len() as u32;
    let sizes: Vec<u32> = samples.iter().map(|sample| sample.len() as u32).collect();
    let entry = boxed(b"tx3g", [&[0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 30]].concat());
    let stbl = [
        boxed(b"stsd", [words(&[0, 1]), entry].concat()),
        boxed(b"stts", words(&[0, 1, count, 2000])),
        boxed(b"stsz", words(&[&[0, 0, count], &sizes[..]].concat())),
        boxed(b"stsc", words(&[0, 1, 1, count, 1])),
        boxed(b"stco", words(&[0, 1, at + 8])),
    ];
    let hdlr = [words(&[0, 0]), b"sbtl".to_vec(), vec![0; 12], b"Sourds\0".to_vec()].concat();
    let mdia = [
        boxed(b"mdhd", words(&[0, 0, 0, 1000, 0, 0x1a41_0000])),
        boxed(b"hdlr", hdlr),
        boxed(b"minf", boxed(b"stbl", stbl.concat())),
    ];
    let tkhd = [words(&[1, 0, 0, 7]), vec![0; 68]].concat();
    boxed(b"trak", [boxed(b"tkhd", tkhd), boxed(b"mdia", mdia.concat())].concat())
}

#[tokio::test]
async fn a_text_track_is_subtitles_like_those_in_a_file() {
    let shelf = Shelf::new();
    with_track(shelf.root.path());
    let stream = RecordingStream::File("t.mp4".to_owned());
    let opened = shelf.mount.open(&stream).await.expect("opened");
    let texts = shelf.mount.texts(&stream, &opened).await.expect("listed");
    assert_eq!((texts.len(), &*texts[0].language, texts[0].name.as_deref()), (1, "fra", Some("Sourds")));
    let list = opened.multivariant(Trim::default(), &texts);
    assert!(list.contains("LANGUAGE=\"fra\",NAME=\"Sourds 1\""), "{list}");
    let expected = format!(
        "{EMPTY}\n00:00:00.000 --> 00:00:02.000\nBonjour\n\n00:00:04.000 --> 00:00:06.000\nà &lt;i>\n"
    );
    assert_eq!(shelf.named(&stream, &texts[0]).await, expected);
    // Numbers never meant tracks.
    assert_eq!(shelf.segment(&stream, &TextName::Number(0), 0).await, Err(VodFault::NotFound));
}
