//! Damaged indexes, samples against another reader, and mounts with files beneath a root.

use std::fmt::Write as _;

use proptest::prelude::*;
use sha2::Digest;

use super::*;
use amphi_container::testing::moov;
use amphi_media::MediaTime;

pub(super) fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    std::fs::read(path).expect("a fixture")
}

#[test]
fn samples_are_where_the_other_reader_finds_them() {
    let file = bytes::Bytes::from(fixture("hall_a.mp4"));
    let clip = amphi_container::clip::Clip::parse(&file).expect("sound");
    let (moov, at, len) = moov();
    let movie = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
    let pairs = [(movie.video.as_ref(), clip.video), (movie.audio.first(), clip.audio)];
    for (ours, theirs) in pairs {
        let (ours, theirs) = (ours.expect("a track"), theirs.expect("a track"));
        assert_eq!(ours.samples.count() as usize, theirs.samples.len());
        for (index, theirs) in (0..).zip(&theirs.samples) {
            let extents = ours.samples.extents(index, index + 1);
            let bytes = file.slice(extents[0].offset as usize..(extents[0].offset + extents[0].len) as usize);
            assert_eq!((bytes, ours.samples.is_sync(index)), (theirs.data.clone(), theirs.sync));
            assert_eq!((ours.shown_at(index), ours.samples.duration(index)), (theirs.pts, theirs.duration));
        }
    }
}

fn cursor(name: &str) -> (SampleCursor, Vec<u8>) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    let file = std::fs::File::open(path).expect("a fixture");
    let bytes = fixture(name);
    let movie = reading::index(&file, bytes.len() as u64, name).expect("sound");
    let stamp = stamp::Stamp { len: bytes.len() as u64, modified: std::time::SystemTime::UNIX_EPOCH };
    let file = std::sync::Arc::new(open_file::OpenFile::new(file, &std::sync::Arc::default()));
    let recording = std::sync::Arc::new(Recording::new(name.to_owned(), stamp, file, movie, 6000));
    let rendition = Rendition { recording, trim: Trim::default(), kind: TrackSelection::Both };
    let played = Presentation { renditions: vec![rendition], smil: None }.for_frames().expect("frames");
    let kinds = played.kinds().to_vec();
    (SampleCursor::new(played, &kinds), bytes)
}

/// The bytes of a batch, read from `file`.
fn batch_bytes(batch: &SampleBatch, file: &[u8]) -> Vec<u8> {
    let extents = batch.layout.extents.iter();
    extents.flat_map(|it| &file[it.offset as usize..(it.offset + it.len) as usize]).copied().collect()
}

#[test]
fn a_cursor_brings_every_sample_once_by_decode_time() {
    for name in ["hall_a.mp4", "hall_a_low.mp4", "small.mp4"] {
        let (mut cursor, file) = cursor(name);
        let recording = std::sync::Arc::clone(cursor.rendition().recording());
        let (mut last, mut pictures) = (MediaTime::from_nanos(i64::MIN), 0);
        // Sound that is not heard with the first picture is left out.
        let left_out = recording.movie.audio.first().map_or(0, |sound| {
            let heard = sound.samples.first_at(sound.origin + 1).saturating_sub(1);
            heard.max(sound.begin) - sound.begin
        });
        let mut sounds = left_out;
        while let Some(next) = cursor.next_at() {
            let until = next.offset_nanos(700_000_000);
            let batch = cursor.take(until).expect("samples");
            let bytes = batch_bytes(&batch, &file);
            assert!(
                batch.samples[0].decode == next && batch.samples.len() > 10 || cursor.next_at().is_none()
            );
            for sample in &batch.samples {
                assert!(sample.decode >= last && sample.decode < until, "{name}: {sample:?}");
                last = sample.decode;
                let (track, index) = match sample.kind {
                    TrackSelection::Picture => (recording.movie.video.as_ref(), &mut pictures),
                    _ => (recording.movie.audio.first(), &mut sounds),
                };
                let (track, at) = (track.expect("a track"), track.expect("a track").begin + *index);
                *index += 1;
                let extent = track.samples.extents(at, at + 1)[0];
                let expected = &file[extent.offset as usize..(extent.offset + extent.len) as usize];
                assert_eq!(
                    (&bytes[sample.place.clone()], sample.sync),
                    (expected, track.samples.is_sync(at))
                );
                assert_eq!(sample.shown.as_nanos(), track.nanos(track.shown_at(at)), "{name}");
                let lift = sample.decode + cursor.delay();
                assert!(
                    sample.kind != TrackSelection::Picture || lift >= MediaTime::default(),
                    "{name}: {sample:?}"
                );
            }
        }
        let count = |track: Option<&Track>| track.map_or(0, |track| track.end - track.begin);
        assert_eq!(pictures, count(recording.movie.video.as_ref()));
        assert_eq!(sounds, count(recording.movie.audio.first()));
    }
}

#[test]
fn a_cursor_goes_to_the_sync_sample_at_or_before() {
    let (mut cursor, _) = cursor("hall_a.mp4");
    for (ms, seconds) in
        [(0, 0), (1999, 0), (2000, 2), (7300, 6), (19_999, 18), (900_000, 18), (i64::MAX / 1_000_000, 18)]
    {
        cursor.seek(MediaTime::from_millis(ms));
        let batch = cursor.take(MediaTime::from_nanos(i64::MAX)).expect("samples");
        let first = batch.samples.iter().find(|sample| sample.kind == TrackSelection::Picture);
        let first = first.expect("a picture");
        assert!(first.sync);
        assert_eq!(first.decode.as_nanos() / 1_000_000_000, seconds, "{ms} ms");
        let sound = batch.samples.iter().find(|sample| sample.kind != TrackSelection::Picture);
        let apart = first.shown.nanos_since(sound.expect("sound").shown);
        assert!((0..25_000_000).contains(&apart), "sound begins {apart} ns before the picture");
    }
}

/// The bytes of a name do not change without [`LAYOUT_VERSION`](amphi_container::fmp4::LAYOUT_VERSION), which is a
/// part of all names: caches keep them for a year.
#[test]
fn other_bytes_have_other_names() {
    let (moov, at, len) = moov();
    let movie = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
    let recording = Recording::for_tests(movie);
    let mut bytes = format!("version {} {}", amphi_container::fmp4::LAYOUT_VERSION, recording.names.tag);
    let digest = |bytes: &[u8]| {
        let digest = sha2::Sha256::digest(bytes);
        digest.iter().take(8).fold("\n".to_owned(), |out, byte| out + &format!("{byte:02x}"))
    };
    for kind in [TrackSelection::Both, TrackSelection::Sound(0)] {
        bytes += &digest(&recording.init(kind).expect("a section"));
        let cut = recording.cuts_of(kind, Trim::default()).expect("cuts")[1];
        bytes += &digest(&recording.segment(kind, cut.from, cut.to).expect("a segment").head);
    }
    bytes += &digest(&recording.segment(TrackSelection::Picture, 30, 31).expect("a picture").head);
    insta::assert_snapshot!(bytes);
}

proptest! {
    #[test]
    fn a_damaged_index_never_panics(flips in prop::collection::vec((0..6000_usize, any::<u8>()), 1..20)) {
        let (mut moov, at, len) = moov();
        for (place, value) in flips {
            if let Some(byte) = moov.get_mut(place) { *byte = value; }
        }
        let Ok(movie) = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)) else { return Ok(()) };
        let lead = movie.lead().expect("a finished movie has one");
        for cut in cuts(lead, 2000).into_iter().take(50) {
            prop_assert!(cut.from < cut.to && cut.to <= lead.end);
        }
        prop_assert!(movie.memory() < 64 << 20);
    }

    #[test]
    fn damaged_fragments_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), kinds in prop::collection::vec(0..4_usize, 0..6)) {
        let (moov, at, len) = moov();
        let mut movie = Movie::parse(&moov, at, len).expect("sound");
        let mut moof = Vec::new();
        amphi_container::isobmff::put_box(&mut moof, *b"moof", |out| {
            amphi_container::isobmff::put_box(out, *b"traf", |out| {
                amphi_container::isobmff::put_full_box(out, *b"tfhd", 0, 0, |out| out.extend([0, 0, 0, 1]));
                for kind in kinds {
                    amphi_container::isobmff::put_box(out, [*b"trun", *b"tfdt", *b"tfhd", *b"trun"][kind], |out| out.extend(&bytes));
                }
            });
        });
        let _ = movie.add_fragment(&moof, 5000, 100_000);
    }
}

#[test]
fn faults_name_the_box_and_its_place() {
    let (moov, at, len) = moov();
    let find = |kind: &[u8]| moov.windows(4).position(|window| window == kind).expect("there") - 4;
    let said = |movie: Movie| movie.left_out.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mut liar = moov.clone();
    let stsz = find(b"stsz");
    liar[stsz + 16..stsz + 20].copy_from_slice(&u32::MAX.to_be_bytes());
    let left_out = said(Movie::parse(&liar, at, len).expect("the sound is played"));
    assert!(
        left_out.starts_with(&format!("track 1 (picture): box stsz at byte {}:", at + stsz as u64)),
        "{left_out}"
    );
    let mut nameless = moov.clone();
    for place in 0..moov.len() - 4 {
        if &moov[place..place + 4] == b"stsd" {
            nameless[place..place + 4].copy_from_slice(b"free");
        }
    }
    let fault = Movie::parse(&nameless, at, len).expect_err("no track is left").to_string();
    assert!(
        fault.starts_with(&format!(
            "box moov at byte {at}: no track can be played: track 1 (picture): box stsd"
        )),
        "{fault}"
    );
    let half = Movie::parse(&moov, at, len / 2).expect("half a file");
    assert!(half.is_cut_off());
    let left_out = said(half);
    assert!(left_out.contains("box stco at byte") && left_out.contains("it is not finished"), "{left_out}");
}

/// Any text, escaped as an attribute of XML.
fn attribute(text: &str) -> String {
    text.chars()
        .filter(|letter| matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'))
        .fold(String::new(), |mut text, letter| {
            write!(text, "&#{};", u32::from(letter)).expect("in memory");
            text
        })
}

/// What comes of a SMIL file with these words: playlist, manifest, list.
fn told(words: &str) -> (String, String, String) {
    let words = attribute(words);
    let text = format!(
        "<smil title='{words}'><body><switch><video src='mp4:{words}' title='{words}' region='{words}'/>\
         <textstream src='{words}' system-language='{words}' title='{words}'/></switch></body></smil>"
    );
    let smil = Smil::parse(&text).ok().filter(|smil| smil.texts.len() == 1).unwrap_or_else(|| {
        // Words of only blanks name no file, and some lead out of the mount.
        Smil::parse("<smil><video src='a'/><textstream src='a.vtt'/></smil>").expect("sound")
    });
    let (moov, at, len) = moov();
    let movie = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
    let recording = std::sync::Arc::new(Recording::for_tests(movie));
    let renditions = vec![Rendition { recording, trim: Trim::default(), kind: TrackSelection::Both }];
    let mut listed = listing::Listed::new("a.smil", smil.title.clone(), String::new());
    listed.language = smil.title.clone();
    let told = |text: &smil::TextStream| ListedText {
        language: text.language.clone(),
        name: Some(smil.title.clone().unwrap_or_else(|| "none".to_owned())),
        names: captions::names_of(&text.path, ""),
    };
    let texts: Vec<ListedText> = smil.texts.iter().map(told).collect();
    let presentation = Presentation { renditions, smil: Some(std::sync::Arc::new(smil)) };
    let playlist = presentation.multivariant(Trim::default(), &texts);
    let manifest = presentation.manifest(Trim::default(), &texts);
    (playlist, manifest, serde_json::to_string(&listed).expect("JSON"))
}

/// Checks that words of a SMIL file end no attribute and no line.
fn holds(words: &str) {
    let (plain, plain_manifest, _) = told("x");
    let (playlist, manifest, list) = told(words);
    assert_eq!(playlist.lines().count(), plain.lines().count(), "{playlist}");
    assert!(!playlist.contains(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}']), "{playlist:?}");
    let quotes = |text: &str| text.matches('"').count();
    assert_eq!(quotes(&playlist), quotes(&plain), "{playlist}");
    let read = hls_m3u8::MasterPlaylist::try_from(&*playlist).expect("a playlist");
    assert_eq!(read.media.len(), 1);
    let elements = |text: &str| {
        let document = roxmltree::Document::parse(text).expect("XML");
        document.descendants().filter(roxmltree::Node::is_element).count()
    };
    assert_eq!(elements(&manifest), elements(&plain_manifest), "{manifest}");
    assert!(!list.contains('\n'));
}

#[test]
fn words_of_a_playlist_that_would_break_lines() {
    for words in [
        "de\"\n#EXT-X-ENDLIST\n",
        "a,URI=\"https://elsewhere/x.m3u8\"",
        "fr\r\n",
        "\u{2028}\u{85}\u{b}",
        "<&>'\"",
        "français, anglais",
        "de, fr",
        "日本語",
        "",
    ] {
        holds(words);
    }
    let (playlist, manifest, _) = told("de-CH, fr");
    assert!(playlist.contains("LANGUAGE=\"de-CH\"") && manifest.contains("lang=\"de-CH\""), "{playlist}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_words_of_a_playlist_stay_within_their_attribute(words in "(\\PC|[\"\n\r,=<>&' \t]|#EXT-X-|[a-zA-Z-]){0,20}") {
        holds(&words);
    }
}

#[test]
fn several_sounds_without_a_picture_are_a_group() {
    let (moov, at, len) = moov();
    let mut movie = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
    movie.video = None;
    let of = |movie: Movie| {
        let recording = std::sync::Arc::new(Recording::for_tests(movie));
        let rendition = Rendition { recording, trim: Trim::default(), kind: TrackSelection::Both };
        Presentation { renditions: vec![rendition], smil: None }
    };
    let one = of(movie.clone()).multivariant(Trim::default(), &[]);
    assert!(!one.contains("EXT-X-MEDIA"), "{one}");
    let mut other = movie.audio[0].clone();
    (movie.audio[0].language, other.language) = ("fra".to_owned(), "eng".to_owned());
    movie.audio.push(other);
    let two = of(movie);
    let playlist = two.multivariant(Trim::default(), &[]);
    let uris: Vec<String> = (0..2)
        .map(|index| {
            let recording = &two.renditions[0].recording;
            let kind = TrackSelection::Sound(index);
            assert!(recording.media_playlist(kind, Trim::default()).is_some());
            recording.names.playlist(kind, Trim::default())
        })
        .collect();
    for (uri, words) in uris.iter().zip(["LANGUAGE=\"fra\"", "LANGUAGE=\"eng\""]) {
        let line = playlist.lines().find(|line| line.starts_with("#EXT-X-MEDIA") && line.contains(words));
        assert!(line.is_some_and(|line| line.contains(uri)), "{playlist}");
    }
    let variant: Vec<&str> = playlist.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(variant, [&*uris[0]]);
    assert!(playlist.contains("AUDIO=\"sound0\""), "{playlist}");
}

#[test]
fn a_segment_by_its_time_is_the_one_among_all_cuts() {
    let (moov, at, len) = moov();
    let movie = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
    let mut alone = movie.clone();
    alone.video = None;
    for recording in [Recording::for_tests(movie), Recording::for_tests(alone)] {
        for kind in [TrackSelection::Both, TrackSelection::Picture, TrackSelection::Sound(0)] {
            let Some(cuts) = recording.cuts_of(kind, Trim::default()) else { continue };
            assert!(cuts.len() > 3 || recording.tracks(kind).is_none(), "{kind:?}: {cuts:?}");
            for cut in cuts {
                let by_time = recording.segment_at(kind, cut.start).map(|it| (it.head, it.extents));
                let by_samples = recording.segment(kind, cut.from, cut.to).map(|it| (it.head, it.extents));
                assert_eq!(by_time, by_samples, "{kind:?} at {}", cut.start);
                assert_eq!(recording.segment_at(kind, cut.start + 1).err(), Some(VodFault::Gone));
            }
        }
    }
}

pub(super) fn mount(root: &std::path::Path) -> Mount {
    Mount::new(MountSettings {
        root: root.to_owned(),
        segment_ms: 4000,
        download: true,
        poster: true,
        index: true,
        ..MountSettings::default()
    })
}

#[tokio::test]
async fn nothing_outside_the_root_is_opened() {
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("secret.mp4"), fixture("hall_a.mp4")).expect("written");
    let root = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(root.path().join("in")).expect("made");
    std::fs::write(root.path().join("in/a.mp4"), fixture("hall_a.mp4")).expect("written");
    std::os::unix::fs::symlink(outside.path(), root.path().join("out")).expect("linked");
    std::os::unix::fs::symlink("in/a.mp4", root.path().join("inside.mp4")).expect("linked");
    std::os::unix::fs::symlink("loop.mp4", root.path().join("loop.mp4")).expect("linked");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.path().join("fifo.mp4"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("made");
    let mount = mount(root.path());
    let secret = format!("{}/secret.mp4", outside.path().display());
    for path in [
        "out/secret.mp4",
        "../secret.mp4",
        "in/../../x.mp4",
        &secret,
        "loop.mp4",
        "fifo.mp4",
        "in",
        "none.mp4",
    ] {
        assert_eq!(mount.recording(path).await.expect_err("refused"), VodFault::NotFound, "{path}");
    }
    for path in ["in/a.mp4", "inside.mp4"] {
        mount.recording(path).await.expect("opened");
    }
}

#[tokio::test]
async fn a_playlist_is_served_as_far_as_it_goes() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
    std::fs::write(root.path().join("broken.mp4"), b"\0\0\0\x08ftyp\0\0\0\x08moov").expect("written");
    let smil = root.path().join("x.smil");
    let text = |sources: &[&str]| {
        let videos: Vec<String> = sources.iter().map(|source| format!("<video src='{source}'/>")).collect();
        format!("<smil><body><switch>{}</switch></body></smil>", videos.concat())
    };
    std::fs::write(&smil, text(&["mp4:gone", "mp4:broken", "mp4:a"])).expect("written");
    let mount = mount(root.path());
    let stream = RecordingStream::Smil("x.smil".to_owned());
    let opened = mount.open(&stream).await.expect("one is there");
    assert_eq!(opened.renditions.len(), 1);
    let list = opened.multivariant(Trim::default(), &[]);
    assert!(
        list.contains("RESOLUTION=1280x720") && list.contains("CODECS=\"avc1.640029,mp4a.40.2\""),
        "{list}"
    );
    assert!(list.contains("#EXT-X-I-FRAME-STREAM-INF:"), "{list}");

    // The file is being rewritten and cut off in the middle: the last good reading is used.
    std::fs::write(&smil, "<smil><body><switch><video src='mp4:a").expect("written");
    mount.forget_stamps();
    assert_eq!(mount.open(&stream).await.expect("as before").renditions.len(), 1);
    // None of its files is there.
    std::fs::write(&smil, text(&["mp4:gone"])).expect("written");
    mount.forget_stamps();
    assert_eq!(mount.open(&stream).await.expect_err("nothing"), VodFault::NotFound);
}

#[tokio::test]
async fn hundreds_who_ask_at_once_share_one_index() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
    let mount = mount(root.path());
    let all = futures_util::future::join_all((0..300).map(|_| mount.recording("a.mp4"))).await;
    let first = all[0].as_ref().expect("opened");
    assert!(all.iter().all(|one| std::sync::Arc::ptr_eq(one.as_ref().expect("opened"), first)));
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_hangs_holds_its_own_viewers_only() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
    let (hanging, sound) = (mount(root.path()), mount(root.path()));
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let jobs: Vec<_> = (0..mount::THREADS)
        .map(|_| {
            let (hanging, held) = (hanging.clone(), std::sync::Arc::clone(&held));
            let work = move || {
                // Returns when the other end is dropped.
                let _ = held.lock().map(|held| held.recv());
                Ok(())
            };
            tokio::spawn(async move { hanging.on_thread(work).await })
        })
        .collect();
    let asked = tokio::spawn({
        let hanging = hanging.clone();
        async move { hanging.recording("a.mp4").await }
    });
    for _ in 0..12 {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(asked.await.expect("it ends").expect_err("nothing is read"), VodFault::Slow);
    sound.recording("a.mp4").await.expect("another mount goes on");
    drop(release);
    for job in jobs {
        assert_eq!(job.await.expect("it ends"), Err(VodFault::Slow), "nobody waited for ever");
    }
    hanging.recording("a.mp4").await.expect("it has come back");
}

#[tokio::test]
async fn recordings_are_listed_with_what_stands_beside_them() {
    let root = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("beneath the root")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    let smil = |title: &str| format!("<smil title='{title}'><body><video src='mp4:a'/></body></smil>");
    write("b.smil", &smil("Second"));
    write("in/deep/a.smil", &smil("Third"));
    write("in/deep/a.xml", "<dublincore><title>First</title><isPartOf>S1</isPartOf></dublincore>");
    write("half.smil", "<smil><body><video src='mp4:a'");
    write("in/other.txt", "no playlist");
    std::os::unix::fs::symlink("/etc", root.path().join("out")).expect("linked");
    let mount = mount(root.path());
    let listed = mount.list().await.expect("a list");
    let told: Vec<_> = listed.iter().map(|it| (&*it.title, &*it.path, it.series.as_deref())).collect();
    assert_eq!(told, [("First", "smil:in/deep/a.smil", Some("S1")), ("Second", "smil:b.smil", None)]);
    assert_eq!(*mount.listing().await.expect("a list").unreadable, ["half.smil"]);
}

#[tokio::test]
async fn a_poster_is_the_key_frame_nearest_to_the_time() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
    let recording = mount(root.path()).recording("a.mp4").await.expect("opened");
    let video = recording.movie.video.as_ref().expect("a picture");
    let syncs: Vec<u32> =
        (0..video.samples.sync_count()).filter_map(|place| video.samples.sync(place)).collect();
    assert!(syncs.len() > 3);
    for ms in [0_u64, 100, 1990, 5_000, 9_999, 15_001, 19_999, 1 << 40] {
        let at = |&sync: &u32| video.nanos(video.shown_at(sync)).abs_diff(ms as i64 * 1_000_000);
        let nearest = syncs.iter().min_by_key(|&sync| at(sync)).copied();
        assert_eq!(recording.sync_near(ms), nearest, "{ms} ms");
    }
    let sample = recording.sample(syncs[1]);
    assert_eq!(sample.total_len(), u64::from(video.samples.size(syncs[1])));
}

/// The recording of the fixture with its picture's boxes of type `kind` as `edit` leaves them; segments of 4 s.
fn with_picture(kind: [u8; 4], edit: impl Fn(&mut Vec<u8>)) -> Recording {
    let (moov, at, len) = moov();
    let moov = amphi_container::isobmff::Boxes::new(&moov, at).next().expect("a box").expect("sound");
    let moov = amphi_container::testing::track_rewritten(&moov, *b"vide", &mut |found, body| {
        if *found == kind {
            edit(body);
        }
    });
    let movie = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
    Recording::for_tests(movie)
}

/// The durations in a playlist, in milliseconds.
fn durations(playlist: &str) -> Vec<u64> {
    let seconds = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
    let ms =
        |text: &str| (text.trim_end_matches(',').parse::<f64>().expect("seconds") * 1000.0).round() as u64;
    seconds.map(ms).collect()
}

/// Checks that the timelines of a manifest have no gaps and end with the recording, and that each segment is there.
fn every_segment_is_there(recording: Recording) -> Vec<Vec<(i64, i64)>> {
    let recording = std::sync::Arc::new(recording);
    let kinds = [TrackSelection::Picture, TrackSelection::Sound(0)];
    let timelines = kinds.map(|kind| {
        let cuts = recording.cuts_of(kind, Trim::default()).expect("a track");
        for cut in &cuts {
            let by_time = recording.segment_at(kind, cut.start).expect("it is listed");
            assert_eq!(by_time.head, recording.segment(kind, cut.from, cut.to).expect("the same").head);
        }
        assert!(cuts.windows(2).all(|pair| pair[0].end == pair[1].start), "{cuts:?}");
        let track = recording.tracks(kind).expect("a track")[0];
        cuts.iter()
            .map(|cut| (track.nanos(cut.start) / 1_000_000, track.nanos(cut.end) / 1_000_000))
            .collect()
    });
    let shown =
        dash::ShownRendition { recording: &recording, kind: TrackSelection::Both, trim: Trim::default() };
    let ends = dash::manifest(&[shown], &[]).adaptation_sets.into_iter().map(|mut set| {
        let amphi_container::dash::RepresentationMedia::Segments(template) =
            set.representations.remove(0).media
        else {
            panic!("no segments");
        };
        let (start, duration) = template.timeline.segments().last().expect("segments");
        (start + duration) * 1000 / i64::from(template.timescale)
    });
    let end = recording.movie.duration_nanos() / 1_000_000;
    assert!(
        ends.collect::<Vec<_>>().iter().all(|at| (at - end).abs() <= 200),
        "a timeline ends before {end} ms"
    );
    timelines.to_vec()
}

#[test]
fn segments_go_on_while_there_is_sound_after_the_last_picture() {
    // Three seconds of pictures, twenty of sound.
    let recording = with_picture(*b"stsz", |body| amphi_container::testing::put(body, 8, 45));
    let playlist = recording.media_playlist(TrackSelection::Both, Trim::default()).expect("a playlist");
    let ms = durations(&playlist);
    assert!(ms.len() >= 4 && ms.iter().all(|ms| *ms <= 6000), "{ms:?}");
    assert_eq!(ms.iter().sum::<u64>() / 100, 200);
    let i_frames = recording.i_frame_playlist(Trim::default()).expect("a playlist");
    assert_eq!(durations(&i_frames).iter().sum::<u64>() / 100, 200);
    every_segment_is_there(recording);
}

#[test]
fn a_picture_that_is_late_is_there_from_the_beginning() {
    let late = |ms: u32| {
        with_picture(*b"edts", move |body| {
            *body = amphi_container::testing::edit_list(&[(ms, -1, 1), (20_000, 0, 1)]);
        })
    };
    // By less than a segment: exact with the sound, and from zero on alone.
    let recording = late(3000);
    let video = recording.movie.video.as_ref().expect("a picture");
    assert_eq!(video.nanos(video.shown_at(video.begin)), 3_000_000_000);
    let together = recording.segment(TrackSelection::Both, 0, 30).expect("a segment").head;
    let alone = recording.segment(TrackSelection::Picture, 0, 30).expect("a segment").head;
    let decode_time = |head: &[u8]| {
        let moof = amphi_container::isobmff::Boxes::new(head, 0).next().expect("a box").expect("sound");
        let tfdt = moof.need(*b"traf").and_then(|traf| traf.need(*b"tfdt")).expect("there");
        tfdt.full().expect("whole").rest.u64()
    };
    assert_eq!((decode_time(&together), decode_time(&alone)), (Some(3 * 15_360), Some(0)));
    let timelines = every_segment_is_there(recording);
    assert_eq!((timelines[0][0].0, timelines[1][0].0), (0, 0));
    // By minutes: no segment is as long as that.
    let recording = late(60_000);
    let ms = durations(&recording.media_playlist(TrackSelection::Both, Trim::default()).expect("a playlist"));
    assert!(ms.len() >= 18 && ms.iter().all(|ms| *ms <= 6000), "{ms:?}");
    let i_frames = durations(&recording.i_frame_playlist(Trim::default()).expect("a playlist"));
    assert_eq!(i_frames.iter().sum::<u64>(), 80_000);
}
