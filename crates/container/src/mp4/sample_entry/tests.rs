//! What sample descriptions say, and how their entries are passed on.

use bytes::BufMut;

use super::super::super::isobmff::put_box;
use super::pictures::hevc_codec;
use super::*;
use amphi_media::{G711Law, PacketCoding, PcmLayout};

const HVCC: &[u8] = &[
    1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3, 0x20, 0, 1,
    0, 1, 0x40, 0x21, 0, 1, 0, 1, 0x42, 0x22, 0, 1, 0, 1, 0x44,
];
const DFLA: &[u8] =
    &[0, 0, 0, 0, 0x80, 0, 0, 34, 16, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0x17, 0x70, 0x03, 0x70, 0, 0];
const LPCM: &[u8] = &[
    0, 0, 0, 72, 0x40, 0xf7, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0x7f, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 14, 0, 0,
    0, 18, 0, 0, 0, 1,
];
const ALAC: &[u8] =
    &[0, 0, 0, 0, 0, 0, 16, 0, 0, 16, 40, 10, 14, 1, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xac, 0x44];

fn esds(object_type: u8, specific: &[u8]) -> Vec<u8> {
    let mut out = vec![3, 0x80, 0x80, 0x80, 23 + specific.len() as u8 - 3, 0, 1, 0];
    out.extend([4, 15 + specific.len() as u8, object_type, 0x15]);
    out.extend([0; 11]);
    out.extend([5, specific.len() as u8]);
    out.extend(specific);
    out
}

fn stsd(kind: [u8; 4], fill: impl Fn(&mut Vec<u8>), copies: usize) -> Result<DescribedEntry, BoxFault> {
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

fn played(described: Result<DescribedEntry, BoxFault>) -> Coding {
    match described {
        Ok(DescribedEntry::Played(coding)) => coding,
        other => panic!("{other:?}"),
    }
}

/// The content of a visual sample entry of 1280x720 with these boxes.
fn visual(boxes: impl Fn(&mut Vec<u8>)) -> impl Fn(&mut Vec<u8>) {
    move |out| {
        out.extend([0; 24]);
        out.extend([5, 0, 2, 0xd0]);
        out.extend([0; 50]);
        boxes(out);
    }
}

fn boxed(kind: [u8; 4], body: &'static [u8]) -> impl Fn(&mut Vec<u8>) {
    move |out| put_box(out, kind, |out| out.extend(body))
}

/// The content of an audio sample entry with these boxes: version, channels, bits and rate, then the fields of the version.
fn audio(said: [u16; 4], more: &'static [u8], boxes: impl Fn(&mut Vec<u8>)) -> impl Fn(&mut Vec<u8>) {
    let [version, channels, bits, rate] = said;
    move |out| {
        out.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        for field in [version, 0, 0, 0, channels, bits, 0, 0, rate, 0] {
            out.put_u16(field);
        }
        out.extend(more);
        boxes(out);
    }
}

fn with_esds(object_type: u8, specific: &'static [u8]) -> impl Fn(&mut Vec<u8>) {
    move |out| {
        put_box(out, *b"esds", |out| {
            out.put_u32(0);
            out.extend(esds(object_type, specific));
        });
    }
}

#[test]
fn pictures_are_named_as_players_want_them() {
    let named = |kind: &[u8; 4], fill: &dyn Fn(&mut Vec<u8>)| {
        let coding = played(stsd(*kind, fill, 1));
        assert_eq!(coding.media, TrackMedia::Video { width: 1280, height: 720 });
        (String::from_utf8_lossy(&coding.entry[4..8]).into_owned(), coding.codec)
    };
    let is = |kind: &str, codec: &str| (kind.to_owned(), codec.to_owned());
    let whole =
        visual(boxed(*b"avcC", &[1, 0x64, 0, 0x29, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x29, 1, 0, 1, 0x68]));
    let bare = visual(boxed(*b"avcC", &[1, 0x64, 0, 0x29, 0xff, 0xe0, 0]));
    for kind in [b"avc1", b"avc3"] {
        assert_eq!(named(kind, &whole), is("avc1", "avc1.640029"));
        assert_eq!(named(kind, &bare), is("avc3", "avc3.640029"));
    }
    let several = |out: &mut Vec<u8>| {
        boxed(*b"pasp", &[0; 8])(out);
        boxed(*b"avcC", &[1, 0x64, 0, 0x29, 0xff])(out);
    };
    assert_eq!(named(b"avc1", &visual(several)), is("avc1", "avc1.640029"));

    // VPS, SPS and PPS of a byte each; then without the PPS.
    let whole = visual(boxed(*b"hvcC", HVCC));
    let short = visual(boxed(*b"hvcC", HVCC.get(..35).unwrap_or_default()));
    for kind in [b"hvc1", b"hev1"] {
        assert_eq!(named(kind, &whole), is("hvc1", "hvc1.1.6.L93.90"));
        assert_eq!(named(kind, &short), is("hev1", "hev1.1.6.L93.90"));
    }
    let entry = played(stsd(*b"hev1", &whole, 1)).entry;
    let arrays = &entry[8 + VISUAL + 8 + 23..];
    assert_eq!([arrays[0], arrays[6], arrays[12]], [0xa0, 0xa1, 0xa2], "array_completeness");
    assert_eq!(
        hevc_codec("hvc1", &[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93]).as_deref(),
        Some("hvc1.1.6.L93.90")
    );

    for (av1c, codec) in [
        (&[0x81, 0x04, 0x0c, 0][..], "av01.0.04M.08"),
        (&[0x81, 0x2d, 0xc0, 0], "av01.1.13H.10"),
        (&[0x81, 0x50, 0x60, 0], "av01.2.16M.12"),
    ] {
        assert_eq!(named(b"av01", &visual(boxed(*b"av1C", av1c))), is("av01", codec));
    }
}

#[test]
fn vp9_is_said_in_version_1_and_with_a_level() {
    let read = |vpcc: Option<&'static [u8]>| {
        let fill = visual(move |out| {
            if let Some(vpcc) = vpcc {
                boxed(*b"vpcC", vpcc)(out);
            }
            boxed(*b"pasp", &[0; 8])(out);
        });
        let coding = played(stsd(*b"vp09", fill, 1));
        let entry = Boxes::new(&coding.entry, 0).next().expect("a box").expect("whole");
        let vpcc = child(&entry, VISUAL, *b"vpcC").expect("there").body.to_vec();
        assert!(child(&entry, VISUAL, *b"pasp").is_ok());
        (coding.codec, vpcc)
    };
    let said = [1, 0, 0, 0, 2, 41, 0xa2, 9, 16, 9, 0, 0];
    assert_eq!(
        read(Some(&[1, 0, 0, 0, 2, 41, 0xa2, 9, 16, 9, 0, 0])),
        ("vp09.02.41.10".to_owned(), said.to_vec())
    );
    // 1280x720 is level 3.1.
    let level = [1, 0, 0, 0, 0, 31, 0x82, 1, 1, 1, 0, 0];
    assert_eq!(
        read(Some(&[1, 0, 0, 0, 0, 0, 0x82, 1, 1, 1, 0, 0])),
        ("vp09.00.31.08".to_owned(), level.to_vec())
    );
    let anew = [1, 0, 0, 0, 0, 31, 0x82, 2, 2, 2, 0, 0];
    assert_eq!(
        read(Some(&[0, 0, 0, 0, 0, 31, 0x80, 0x10, 0, 0])),
        ("vp09.00.31.08".to_owned(), anew.to_vec())
    );
    assert_eq!(read(None), ("vp09.00.31.08".to_owned(), anew.to_vec()));
}

#[test]
fn sound_is_named_as_players_want_it() {
    let named = |kind: &[u8; 4], fill: &dyn Fn(&mut Vec<u8>)| {
        let coding = played(stsd(*kind, fill, 1));
        let TrackMedia::Audio { channels, sample_rate } = coding.media else { panic!("{coding:?}") };
        assert_eq!(coding.packets, None);
        (coding.codec, channels, sample_rate)
    };
    let is = |codec: &str, channels, rate| (codec.to_owned(), channels, rate);
    let esds_of = |object_type, specific| audio([0, 2, 16, 48_000], &[], with_esds(object_type, specific));
    assert_eq!(named(b"mp4a", &esds_of(0x40, &[0x11, 0x90])), is("mp4a.40.2", 2, 48_000));
    // HE-AAC says the rate of its core in the entry.
    assert_eq!(named(b"mp4a", &esds_of(0x40, &[0x2b, 0x11, 0x88, 0])), is("mp4a.40.5", 2, 48_000));
    assert_eq!(named(b"mp4a", &esds_of(0x40, &[0xeb, 0x09, 0x88, 0])), is("mp4a.40.29", 2, 48_000));
    // MPEG-2 AAC-LC, and AAC of which nothing is said.
    for specific in [&[0x11, 0x90][..], &[]] {
        let coding =
            played(stsd(*b"mp4a", esds_of(if specific.is_empty() { 0x40 } else { 0x67 }, specific), 1));
        assert_eq!(coding.codec, "mp4a.40.2");
        assert_eq!(coding.aac().map(AudioSpecificConfig::to_bytes), Some(vec![0x11, 0x90]));
    }
    let bare = |out: &mut Vec<u8>| {
        put_box(out, *b"esds", |out| {
            out.put_u32(0);
            out.extend(&esds(0x40, &[0x11, 0x90])[8..]);
        });
    };
    let coding = played(stsd(*b"mp4a", audio([0, 2, 16, 48_000], &[], bare), 1));
    assert_eq!(
        coding.aac().map(AudioSpecificConfig::to_bytes),
        Some(vec![0x11, 0x90]),
        "an ES descriptor is around it"
    );

    let dops = audio([0, 2, 16, 48_000], &[], boxed(*b"dOps", &[0, 1, 1, 0x38, 0, 0, 0x3e, 0x80, 0, 0, 0]));
    assert_eq!(named(b"Opus", &dops), is("Opus", 1, 48_000));
    assert_eq!(named(b"fLaC", &audio([0, 2, 16, 0], &[], boxed(*b"dfLa", DFLA))), is("fLaC", 2, 96_000));
}

#[test]
fn sound_that_no_browser_decodes_is_described_for_a_decoder() {
    let packets = |kind: &[u8; 4], fill: &dyn Fn(&mut Vec<u8>)| {
        let coding = played(stsd(*kind, fill, 1));
        let packets = coding.packets.unwrap_or_else(|| panic!("{kind:?}"));
        (packets.coding, packets.channels, packets.sample_rate)
    };
    let pcm = |bytes, is_float, is_big_endian, is_unsigned| {
        PacketCoding::Pcm(PcmLayout { bytes, is_float, is_big_endian, is_unsigned })
    };
    let plain = |bits| audio([0, 2, bits, 48_000], &[], |_| {});
    for (kind, bits, coding) in [
        (b"sowt", 16, pcm(2, false, false, false)),
        (b"twos", 16, pcm(2, false, true, false)),
        (b"twos", 8, pcm(1, false, true, false)),
        (b"raw ", 8, pcm(1, false, true, true)),
        (b"in24", 16, pcm(3, false, true, false)),
        (b"fl32", 16, pcm(4, true, true, false)),
        (b"ulaw", 16, PacketCoding::G711(G711Law::Mu)),
        (b"ima4", 16, PacketCoding::ImaAdpcm),
        (b".mp3", 16, PacketCoding::Mpeg),
        (b"ac-3", 16, PacketCoding::Ac3),
    ] {
        assert_eq!(packets(kind, &plain(bits)), (coding, 2, 48_000), "{kind:?}");
    }
    let little = audio([1, 2, 16, 48_000], &[0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 6, 0, 0, 0, 3], |out| {
        put_box(out, *b"wave", |out| put_box(out, *b"enda", |out| out.extend([0, 1])));
    });
    assert_eq!(packets(b"in24", &little), (pcm(3, false, false, false), 2, 48_000));
    // Version 2: 96 kHz, 6 channels of 24 bits, packed, signed, the first byte the highest.
    assert_eq!(
        packets(b"lpcm", &audio([2, 3, 16, 1], LPCM, |_| {})),
        (pcm(3, false, true, false), 6, 96_000)
    );
    let ipcm = audio([0, 2, 16, 48_000], &[], boxed(*b"pcmC", &[0, 0, 0, 0, 1, 24]));
    assert_eq!(packets(b"ipcm", &ipcm), (pcm(3, false, false, false), 2, 48_000));
    assert_eq!(
        packets(b"mp4a", &audio([0, 2, 16, 44_100], &[], with_esds(0x6b, &[]))),
        (PacketCoding::Mpeg, 2, 44_100)
    );
    let alac = audio([0, 2, 16, 0], &[], boxed(*b"alac", ALAC));
    assert_eq!(packets(b"alac", &alac), (PacketCoding::Alac(Bytes::from_static(&ALAC[4..])), 1, 44_100));
    // Players with AC-3 may have it as it is: 48 kHz, 3/2 and the low-frequency channel.
    let ac3 = played(stsd(*b"ac-3", audio([0, 2, 16, 48_000], &[], boxed(*b"dac3", &[0x10, 0x3d, 0xc0])), 1));
    assert_eq!((&*ac3.codec, ac3.media), ("ac-3", TrackMedia::Audio { channels: 6, sample_rate: 48_000 }));
}

#[test]
fn what_is_not_played_has_a_name() {
    for (kind, said) in [
        (b"apch", "ProRes (apch) is played by no browser"),
        (b"mjp2", "JPEG 2000 (mjp2) is played by no browser"),
        (b"agsm", "GSM (agsm) is played by no browser"),
        (b"tmcd", "a timecode (tmcd) is played by no browser"),
        (b"encv", "it is encrypted or restricted (encv), and there is no key for it"),
        (b"a\"b\n", "its coding (a\\\"b\\n) is not known"),
    ] {
        assert_eq!(stsd(*kind, |_| {}, 1), Ok(DescribedEntry::LeftOut(said.to_owned())));
    }
    let vorbis = audio([0, 2, 16, 48_000], &[], with_esds(0xdd, &[]));
    let said = "Vorbis (mp4a.dd) is played by no browser".to_owned();
    assert_eq!(stsd(*b"mp4a", vorbis, 1), Ok(DescribedEntry::LeftOut(said)));
}

#[test]
fn rates_that_no_sound_has_are_left_out() {
    let mut lpcm = LPCM.to_vec();
    lpcm.get_mut(4..12).expect("a rate").copy_from_slice(&4e9_f64.to_be_bytes());
    let lpcm = audio([2, 3, 16, 1], lpcm.leak(), |_| {});
    let said = |rate: u32| Ok(DescribedEntry::LeftOut(format!("it says {rate} samples per second")));
    assert_eq!(stsd(*b"lpcm", lpcm, 1), said(4_000_000_000));
    assert_eq!(stsd(*b".mp3", audio([0, 2, 16, 3999], &[], |_| {}), 1), said(3999));
    assert_eq!(
        played(stsd(*b".mp3", audio([0, 2, 16, 0], &[], |_| {}), 1)).packets.map(|it| it.sample_rate),
        Some(0)
    );
}

#[test]
fn any_entry_of_the_table_is_read() {
    let avc = visual(boxed(*b"avcC", &[1, 0x64, 0, 0x29, 0xff]));
    assert_eq!(played(stsd(*b"avc1", &avc, 3)).codec, "avc1.640029");
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

#[test]
fn entries_of_ac3_are_as_players_want_them() {
    const DAC3: &[u8] = &[0x10, 0x3d, 0xc0];
    let dac3 = || boxed(*b"dac3", DAC3);
    let dolby = |kind: [u8; 4], fill: &dyn Fn(&mut Vec<u8>)| {
        let coding = played(stsd(kind, fill, 1));
        let said = coding.dolby().map(|it| (it.sample_rate, it.channels()));
        let boxes: Vec<[u8; 4]> =
            Boxes::new(&coding.entry[8 + SOUND..], 0).map(|found| found.expect("sound").kind).collect();
        (coding.codec, coding.entry[4..8].to_vec(), said, boxes)
    };
    let right = |codec: &str, boxes: &[[u8; 4]]| {
        (codec.to_owned(), codec.as_bytes().to_vec(), Some((48_000, 6)), boxes.to_vec())
    };
    // As it is: whatever else the encoder put there too.
    let plain = audio([0, 2, 16, 48_000], &[], |out| {
        dac3()(out);
        boxed(*b"btrt", &[0; 12])(out);
    });
    assert_eq!(dolby(*b"ac-3", &plain), right("ac-3", &[*b"dac3", *b"btrt"]));
    assert_eq!(dolby(*b"sac3", &plain), right("ac-3", &[*b"dac3"]));
    let quicktime = audio([1, 2, 16, 48_000], &[0; 16], |out| put_box(out, *b"wave", dac3()));
    assert_eq!(dolby(*b"ac-3", &quicktime), right("ac-3", &[*b"dac3"]));
    let in_wave = audio([0, 2, 16, 48_000], &[], |out| put_box(out, *b"wave", dac3()));
    assert_eq!(dolby(*b"sac3", &in_wave), right("ac-3", &[*b"dac3"]));
    let second = audio([2, 3, 16, 1], LPCM, dac3());
    assert_eq!(dolby(*b"ac-3", &second), right("ac-3", &[*b"dac3"]));
    let dec3 = audio([1, 2, 16, 48_000], &[0; 16], boxed(*b"dec3", &[0x0c, 0, 0x20, 0x0f, 0]));
    assert_eq!(dolby(*b"ec-3", &dec3), right("ec-3", &[*b"dec3"]));
    // ISO's version 1 (§12.2.3.2) in a description of version 1 becomes version 0, as the description does.
    let mut of_iso = Vec::new();
    put_box(&mut of_iso, *b"stsd", |out| {
        out.extend([1, 0, 0, 0, 0, 0, 0, 1]);
        put_box(out, *b"ac-3", audio([1, 2, 16, 48_000], &[], dac3()));
    });
    let coding = played(read(&Boxes::new(&of_iso, 0).next().expect("a box").expect("sound"), 0));
    assert_eq!((coding.entry.get(16..18), coding.dolby().is_some()), (Some(&[0, 0][..]), true));
    // Without the box, and with one that says what AC-3 is not.
    assert_eq!(dolby(*b"ac-3", &audio([0, 2, 16, 48_000], &[], |_| {})).2, None);
    let wrong = audio([0, 2, 16, 48_000], &[], boxed(*b"dac3", &[0x20, 0x3d, 0xc0]));
    assert_eq!(dolby(*b"ac-3", &wrong).2, None);
    assert_eq!(played(stsd(*b"mp4a", audio([0, 2, 16, 48_000], &[], with_esds(0xa5, &[])), 1)).dolby(), None);
}
