//! Files that change while they are watched, and names in both normalization forms.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use amphi_container::mp4::{LeftOut, TrackKind};
use unicode_normalization::UnicodeNormalization;

use crate::tests::{fixture, mount};
use crate::*;

/// A recording's first segment by its name, and its bytes.
struct Watched {
    stream: RecordingStream,
    names: FileNames,
    segment: (u32, u32),
    bytes: Vec<u8>,
}

impl Watched {
    async fn begin(mount: &Mount, stream: RecordingStream) -> Self {
        let presentation = mount.open(&stream).await.expect("opened");
        let recording = &presentation.renditions[0].recording;
        let cut = recording.cuts[1];
        let names = recording.names.clone();
        let mut watched = Self { stream, names, segment: (cut.from, cut.to), bytes: Vec::new() };
        watched.bytes = watched.fetch(mount).await.expect("a segment");
        watched
    }

    async fn fetch(&self, mount: &Mount) -> Result<Vec<u8>, VodFault> {
        use futures_util::TryStreamExt;
        let recording = mount.version(&self.stream, &self.names).await?;
        let layout = mount.segment(&recording, TrackSelection::Both, self.segment.0, self.segment.1).await?;
        let (first, later) = mount.read(&recording, &layout).await?;
        let mut bytes = [&layout.head[..], &first[..]].concat();
        if let Some(later) = later {
            let rest: Vec<bytes::Bytes> = later.try_collect().await.expect("read");
            bytes.extend(rest.concat());
        }
        Ok(bytes)
    }
}

fn file(name: &str) -> RecordingStream {
    RecordingStream::File(name.to_owned())
}

fn touch(path: &Path, seconds: u64) {
    let file = fs::File::options().append(true).open(path).expect("opened");
    file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).expect("touched");
}

async fn newcomer(mount: &Mount, stream: &RecordingStream) -> FileNames {
    mount.forget_stamps();
    mount.open(stream).await.expect("opened").renditions[0].recording.names.clone()
}

#[tokio::test]
async fn who_has_begun_goes_on_with_the_version_they_began() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("a.mp4");
    fs::write(&path, fixture("hall_a.mp4")).expect("written");
    let mount = mount(root.path());
    let old = Watched::begin(&mount, file("a.mp4")).await;

    fs::write(root.path().join("new"), fixture("hall_a_low.mp4")).expect("written");
    fs::rename(root.path().join("new"), &path).expect("replaced");
    let names = newcomer(&mount, &old.stream).await;
    assert_eq!((names.key.clone(), names.tag == old.names.tag), (old.names.key.clone(), false));
    assert_eq!(old.fetch(&mount).await.expect("kept"), old.bytes);
    let new = Watched::begin(&mount, file("a.mp4")).await;
    assert_ne!(new.bytes, old.bytes);
    // Playlists of other renditions are of the same version.
    let name = VersionNames::Exact(old.names.clone());
    assert_eq!(mount.rendition(&old.stream, &name).await.expect("kept").names, old.names);
    let name = VersionNames::Present(old.names.key.clone());
    assert_eq!(mount.rendition(&old.stream, &name).await.expect("the new one").names, new.names);

    fs::remove_file(&path).expect("removed");
    mount.forget_stamps();
    assert_eq!(mount.open(&old.stream).await.err(), Some(VodFault::NotFound), "newcomers");
    for begun in [&old, &new] {
        assert_eq!(begun.fetch(&mount).await.expect("kept"), begun.bytes);
    }
    // Nobody finds it beneath another name, whose viewers the door may not let have it.
    let elsewhere = mount.version(&file("b.mp4"), &old.names).await;
    assert_eq!(elsewhere.err(), Some(VodFault::Gone));
}

#[tokio::test]
async fn a_file_that_is_touched_has_its_old_names_and_new_ones() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("a.mp4");
    fs::write(&path, fixture("hall_a.mp4")).expect("written");
    let mount = mount(root.path());
    let old = Watched::begin(&mount, file("a.mp4")).await;
    for seconds in [5, 10] {
        touch(&path, seconds);
        assert_eq!(old.fetch(&mount).await.expect("the same"), old.bytes);
        let new = newcomer(&mount, &old.stream).await;
        assert_ne!(new, old.names);
        assert_eq!(old.fetch(&mount).await.expect("the same"), old.bytes);
    }
    // Touched before anything of it was read.
    fs::copy(&path, root.path().join("b.mp4")).expect("copied");
    let names = newcomer(&mount, &file("b.mp4")).await;
    touch(&root.path().join("b.mp4"), 15);
    let unread = Watched { stream: file("b.mp4"), names, segment: old.segment, bytes: Vec::new() };
    assert_eq!(unread.fetch(&mount).await.expect("the same"), old.bytes);
}

#[tokio::test]
async fn a_file_that_is_overwritten_in_place_is_never_mixed() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("a.mp4");
    let mount = mount(root.path());
    let whole = fixture("hall_a.mp4");
    // The media alone, with the index and the length as they were; one that is as long; a shorter one; one after the other.
    let mut other = whole.clone();
    let moov = other.windows(4).position(|window| window == b"moov").expect("there");
    let mdat = other.windows(4).position(|window| window == b"mdat").expect("there");
    let media = if moov < mdat { mdat + 4..other.len() } else { mdat + 4..moov - 4 };
    other[media].iter_mut().for_each(|byte| *byte = !*byte);
    let mut longer = fixture("hall_a_low.mp4");
    longer.resize(whole.len() + 1000, 0);
    for (round, content) in [other, fixture("hall_a_low.mp4"), longer].iter().enumerate() {
        for is_read in [true, false] {
            fs::write(&path, &whole).expect("written");
            touch(&path, 100 * round as u64 + u64::from(is_read));
            mount.forget_stamps();
            let mut old = Watched::begin(&mount, file("a.mp4")).await;
            if !is_read && round > 0 {
                fs::copy(&path, root.path().join("b.mp4")).expect("copied");
                let stream = file("b.mp4");
                let names = newcomer(&mount, &stream).await;
                old = Watched { stream, names, ..old };
            }
            let path = root.path().join(old.stream.path());
            let written = fs::File::options().write(true).open(&path).expect("opened");
            written.write_all_at(content, 0).expect("written");
            written.set_len(content.len() as u64).expect("cut");
            touch(&path, 100 * round as u64 + 50);
            let gone = old.fetch(&mount).await.expect_err("gone");
            assert!(matches!(gone, VodFault::Overwritten { .. }), "{round}: {gone}");
            // Newcomers get the new one at once, and the old name is no more.
            let opened = mount.open(&old.stream).await.expect("opened");
            assert_ne!(opened.renditions[0].recording.names, old.names, "{round}");
            assert_eq!(old.fetch(&mount).await.err(), Some(VodFault::Gone));
        }
    }
}

#[tokio::test]
async fn a_smil_file_that_is_replaced_leaves_those_who_watch_alone() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
    fs::write(root.path().join("b.mp4"), fixture("hall_a_low.mp4")).expect("written");
    let list = |name: &str| {
        let text = format!("<smil><body><switch><video src='mp4:{name}'/></switch></body></smil>");
        fs::write(root.path().join("x.smil"), text).expect("written");
    };
    list("a.mp4");
    let mount = mount(root.path());
    let old = Watched::begin(&mount, RecordingStream::Smil("x.smil".to_owned())).await;
    list("longer/../b.mp4");
    list("b.mp4");
    touch(&root.path().join("x.smil"), 5);
    assert_ne!(newcomer(&mount, &old.stream).await.key, old.names.key);
    assert_eq!(old.fetch(&mount).await.expect("kept"), old.bytes);
}

/// The recording as one file of fragments, and where each of them ends.
fn in_fragments(recording: &Recording, whole: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut file = recording.init(TrackSelection::Both).expect("a section").to_vec();
    let mut ends = Vec::new();
    for cut in &recording.cuts {
        let layout = recording.segment(TrackSelection::Both, cut.from, cut.to).expect("a segment");
        file.extend_from_slice(&layout.head);
        for extent in &layout.extents {
            file.extend_from_slice(&whole[extent.offset as usize..(extent.offset + extent.len) as usize]);
        }
        ends.push(file.len());
    }
    (file, ends)
}

#[tokio::test]
async fn a_file_that_grows_is_served_up_to_its_last_whole_fragment_or_waits() {
    let root = tempfile::tempdir().expect("a folder");
    let whole = fixture("hall_a.mp4");
    let path = root.path().join("a.mp4");
    let mount = mount(root.path());
    // An index at the end, or one that names samples beyond it: wait.
    for len in [0, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..len]).expect("written");
        touch(&path, len as u64);
        mount.forget_stamps();
        let fault = mount.open(&file("a.mp4")).await.expect_err("not finished");
        assert!(matches!(fault, VodFault::Unfinished { .. }), "{len} bytes: {fault}");
        assert!(mount.reports().iter().all(|report| !report.is_serious()), "{:?}", mount.reports());
    }
    // The length first, then the bytes.
    fs::write(&path, vec![0; whole.len()]).expect("written");
    touch(&path, 1 << 20);
    mount.forget_stamps();
    assert!(matches!(mount.open(&file("a.mp4")).await, Err(VodFault::Unfinished { .. })));
    fs::write(&path, &whole).expect("written");
    touch(&path, 1 << 21);
    mount.forget_stamps();
    let recording = mount.recording("a.mp4").await.expect("finished");
    assert_eq!(mount.reports(), []);

    let (fragments, ends) = in_fragments(&recording, &whole);
    // Its first fragment is not there yet, or nothing but zeros is.
    let begins = recording.init(TrackSelection::Both).expect("a section").len();
    let path = root.path().join("begins.mp4");
    for (number, rest) in [&[][..], &fragments[begins..begins + 50], &[0; 500]].into_iter().enumerate() {
        fs::write(&path, [&fragments[..begins], rest].concat()).expect("written");
        touch(&path, number as u64);
        mount.forget_stamps();
        let fault = mount.open(&file("begins.mp4")).await.expect_err("not finished");
        assert!(matches!(fault, VodFault::Unfinished { .. }), "{number}: {fault}");
    }
    let path = root.path().join("grows.mp4");
    fs::write(&path, &fragments[..ends[1] + 100]).expect("written");
    let begun = Watched::begin(&mount, file("grows.mp4")).await;
    let cuts = |mount: &Mount| {
        let mount = mount.clone();
        async move { mount.recording("grows.mp4").await.expect("served").cuts.len() }
    };
    assert_eq!(cuts(&mount).await, 2);
    for (number, end) in ends.iter().enumerate().skip(2) {
        fs::write(&path, &fragments[..*end]).expect("grown");
        touch(&path, number as u64);
        mount.forget_stamps();
        assert_eq!(cuts(&mount).await, number + 1);
        assert_eq!(begun.fetch(&mount).await.expect("as it began"), begun.bytes);
    }
    // A full disk, or a copy that has its length first.
    fs::write(&path, [&fragments[..ends[2]], &[0; 500]].concat()).expect("written");
    touch(&path, 1 << 20);
    mount.forget_stamps();
    assert_eq!(cuts(&mount).await, 3);
}

#[tokio::test]
async fn a_name_is_found_in_either_normalization_form() {
    let root = tempfile::tempdir().expect("a folder");
    let names = ["leçon.mp4", "été/à voir.mp4"];
    for name in names {
        let on_disk: String = name.nfd().collect();
        assert_ne!(on_disk, name);
        let path = root.path().join(&on_disk);
        fs::create_dir_all(path.parent().expect("beneath the root")).expect("made");
        fs::write(&path, fixture("small.mp4")).expect("written");
    }
    fs::write(root.path().join("Ångström.mp4"), fixture("small.mp4")).expect("written");
    let beside: String = "leçon.fr.vtt".nfd().collect();
    fs::write(root.path().join(beside), "WEBVTT\n\n00:00.000 --> 00:01.000\nOui\n").expect("written");
    let smil = format!("<smil><body><video src='mp4:{}'/></body></smil>", names[0].nfd().collect::<String>());
    fs::write(root.path().join("d.smil"), smil).expect("written");
    fs::write(
        root.path().join("cours é.smil".nfd().collect::<String>()),
        "<smil><body><video src='mp4:leçon'/></body></smil>",
    )
    .expect("written");
    let mount = mount(root.path());
    for name in names.into_iter().chain(["Ångström.mp4"]) {
        mount.recording(name).await.expect("in the form of most systems");
        mount.recording(&name.nfd().collect::<String>()).await.expect("in the other");
    }
    for name in ["d.smil", "cours é.smil"] {
        let stream = RecordingStream::Smil(name.to_owned());
        let opened = mount.open(&stream).await.expect("opened");
        assert_eq!(opened.renditions[0].recording.path, "leçon.mp4", "one key for both forms");
        assert_eq!(mount.texts(&stream, &opened).await.expect("looked for").len(), 1);
    }
    let listed = mount.list().await.expect("a list");
    assert_eq!(listed[0].hls, "smil:cours%20%C3%A9.smil/playlist.m3u8");
    for name in ["leçonX.mp4", "été.mp4", "lec\u{0327}\u{0327}on.mp4"] {
        assert_eq!(mount.recording(name).await.err(), Some(VodFault::NotFound), "{name}");
    }
}

#[tokio::test]
async fn tracks_that_are_left_out_are_listed_until_the_file_is_another() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
    fs::write(root.path().join("x.smil"), "<smil><body><video src='a'/></body></smil>").expect("written");
    let mount = mount(root.path());
    let recording = mount.recording("a.mp4").await.expect("opened");
    let mut movie = recording.movie.clone();
    movie.audio.clear();
    let reason = "its codec is not decoded here: alac".to_owned();
    movie.left_out = vec![LeftOut { track_id: 2, kind: TrackKind::Sound, reason: reason.clone() }];
    mount.report("a.mp4", recording.stamp, RecordingReport::of_movie("a.mp4", &movie));
    let listed = mount.list().await.expect("a list");
    let (file, kind) = ("a.mp4".to_owned(), Some("sound".to_owned()));
    assert_eq!(listed[0].left_out, [LeftOutPart { file, track: Some(2), kind, reason }]);
    let (count, named) = mount.serious_reports(3);
    assert!(count == 1 && named[0].lacks == [TrackKind::Sound], "{named:?}");

    touch(&root.path().join("a.mp4"), 5);
    mount.forget_stamps();
    assert_eq!(mount.look(&RecordingStream::Smil("x.smil".to_owned())).await, 1);
    assert_eq!(mount.reports(), [], "all of this version is played");
    assert_eq!(mount.look(&RecordingStream::Smil("x.smil".to_owned())).await, 0, "it is known");
}

#[tokio::test]
async fn what_is_not_played_is_listed() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
    fs::write(root.path().join("b.mp4"), b"\0\0\0\x08ftyp\0\0\0\x08moov").expect("written");
    let smil = "<smil><body><switch><video src='a'/><video src='b'/></switch></body></smil>";
    fs::write(root.path().join("x.smil"), smil).expect("written");
    let mount = mount(root.path());
    assert!(mount.list().await.expect("a list")[0].left_out.is_empty(), "nothing has been opened");
    mount.open(&RecordingStream::Smil("x.smil".to_owned())).await.expect("one is there");
    let reports = mount.reports();
    assert!(reports.len() == 1 && reports[0].path == "b.mp4" && reports[0].is_serious(), "{reports:?}");
    mount.forget_stamps();
    let listed = mount.list().await.expect("a list");
    let part = &listed[0].left_out[0];
    assert!(
        part.file == "b.mp4" && part.track.is_none() && part.reason.contains("no track of pictures or sound"),
        "{part:?}"
    );
    fs::remove_file(root.path().join("b.mp4")).expect("removed");
    mount.forget_stamps();
    mount.open(&RecordingStream::Smil("x.smil".to_owned())).await.expect("one is there");
    assert_eq!(mount.reports(), [], "it is not there any more");
}

#[tokio::test]
async fn what_is_said_of_one_state_of_a_file_goes_with_it() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("a.mp4");
    let whole = fixture("hall_a.mp4");
    let then = SystemTime::now() - Duration::from_secs(100);
    let write = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        fs::File::options().append(true).open(&path).expect("opened").set_modified(then).expect("touched");
    };
    let mount = mount(root.path());
    write(&whole);
    assert_eq!(mount.look(&file("a.mp4")).await, 1);
    write(b"Not a film at all, but a text that says so.");
    mount.forget_stamps();
    mount.recording("a.mp4").await.expect_err("it is a text");
    assert_eq!(mount.serious_reports(3).0, 1);
    write(&whole);
    mount.forget_stamps();
    assert_eq!(mount.look(&file("a.mp4")).await, 1, "the first state is back");
    assert_eq!(mount.reports(), []);
}

#[tokio::test]
async fn subtitles_asked_for_as_a_film_are_no_fault_of_the_mount() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("a.fr.vtt"), "WEBVTT\n\n00:00.000 --> 00:01.000\nOui\n").expect("written");
    let mount = mount(root.path());
    mount.recording("a.fr.vtt").await.expect_err("it is a text");
    assert_eq!(mount.reports(), []);
}

#[tokio::test]
async fn what_a_smil_file_says_in_vain_is_listed() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("a.mp4"), fixture("hall_a.mp4")).expect("written");
    let write = |begin: &str| {
        let text = format!("<smil><body>\n<video src='a' begin='{begin}'/></body></smil>");
        fs::write(root.path().join("x.smil"), text).expect("written");
    };
    write("soon");
    let mount = mount(root.path());
    let stream = RecordingStream::Smil("x.smil".to_owned());
    mount.open(&stream).await.expect("played");
    let listed = mount.list().await.expect("a list");
    let part = listed[0].left_out.first().expect("a value");
    assert!(part.file == "x.smil" && part.track.is_none() && part.reason.contains("line 2"), "{part:?}");
    assert_eq!(mount.serious_reports(3).0, 0, "it is played all the same");
    write("2s");
    touch(&root.path().join("x.smil"), 5);
    mount.forget_stamps();
    mount.open(&stream).await.expect("played");
    assert_eq!(mount.reports(), []);
}
