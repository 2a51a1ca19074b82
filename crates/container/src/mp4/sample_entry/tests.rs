//! What sample descriptions say, and how their entries are passed on.

use bytes::BufMut;

use super::super::super::isobmff::put_box;
use super::esds::mpeg4_audio;
use super::pictures::hevc;
use super::*;

fn esds(object_type: u8, specific: &[u8]) -> Vec<u8> {
    let mut out = vec![3, 0x80, 0x80, 0x80, 23 + specific.len() as u8 - 3, 0, 1, 0];
    out.extend([4, 15 + specific.len() as u8, object_type, 0x15]);
    out.extend([0; 11]);
    out.extend([5, specific.len() as u8]);
    out.extend(specific);
    out
}

fn stsd(kind: [u8; 4], fill: impl Fn(&mut Vec<u8>), copies: usize) -> Result<Described, BoxFault> {
    let mut out = Vec::new();
    put_box(&mut out, *b"stsd", |out| {
        out.put_u64(copies as u64);
        for _ in 0..copies {
            put_box(out, kind, &fill);
        }
    });
    let stsd = Boxes::new(&out, 0).next().expect("a box").expect("sound");
    read(&stsd, copies - 1)
}

fn played(described: Result<Described, BoxFault>) -> Coding {
    match described {
        Ok(Described::Played(coding)) => coding,
        other => panic!("{other:?}"),
    }
}

#[test]
fn codecs_are_said_as_players_want_them() {
    for (object_type, specific, said) in [
        (0x40, &[0x11, 0x90][..], "mp4a.40.2"),
        (0x40, &[0x2b, 0x92, 0x08, 0x00], "mp4a.40.5"),
        (0x6b, &[0, 0], "mp4a.6b"),
    ] {
        assert_eq!(mpeg4_audio(&esds(object_type, specific)).as_deref(), Some(said));
    }
    let hvcc = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
    assert_eq!(hevc("hvc1", &hvcc).as_deref(), Some("hvc1.1.6.L93.90"));
    let avc = |out: &mut Vec<u8>| {
        out.extend([0; 24]);
        out.extend([5, 0, 2, 0xd0]);
        out.extend([0; 50]);
        put_box(out, *b"pasp", |out| out.extend([0; 8]));
        put_box(out, *b"avcC", |out| out.extend([1, 0x64, 0, 0x29, 0xff]));
    };
    let coding = played(stsd(*b"avc1", avc, 1));
    assert_eq!(
        (&*coding.codec, coding.media),
        ("avc1.640029", TrackMedia::Video { width: 1280, height: 720 })
    );
    assert_eq!(stsd(*b"tmcd", |_| {}, 1), Ok(Described::LeftOut("its coding is tmcd".to_owned())));
    assert_eq!(played(stsd(*b"avc1", avc, 2)), coding, "whichever entry is asked for");
}

#[test]
fn quicktime_sound_is_written_anew() {
    let quicktime = |out: &mut Vec<u8>| {
        out.extend([
            0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 16, 0xff, 0xfe, 0, 0, 0xbb, 0x80, 0, 0,
        ]);
        out.extend([0; 16]);
        put_box(out, *b"wave", |out| {
            put_box(out, *b"frma", |out| out.extend(b"mp4a"));
            put_box(out, *b"esds", |out| {
                out.put_u32(0);
                out.extend(esds(0x40, &[0x11, 0x90]));
            });
        });
    };
    let coding = played(stsd(*b"mp4a", quicktime, 1));
    assert_eq!(
        (&*coding.codec, coding.media),
        ("mp4a.40.2", TrackMedia::Audio { channels: 2, sample_rate: 48_000 })
    );
    let rewritten = Boxes::new(&coding.entry[8 + SOUND..], 0).map(|found| found.expect("sound").kind);
    assert_eq!(rewritten.collect::<Vec<_>>(), [*b"esds"]);
}
