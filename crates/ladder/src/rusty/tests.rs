//! Pictures in order, exact, and from recovery points on.

use super::*;
use amphi_media::h264::{NAL_AUD, annex_b_nals, nal_type};

/// Feeds picture order counts in decode order, as the decoder does; gives them as they are shown.
fn order(counts: &[i32]) -> Vec<i32> {
    let (mut order, mut shown) = (ReorderBuffer::default(), Vec::new());
    for &poc in counts {
        let idr = poc == 0;
        if idr {
            shown.extend(std::iter::from_fn(|| order.first()).map(|(_, poc)| poc));
        }
        if !idr && order.is_late(poc) {
            continue;
        }
        if order.is_next(poc, idr) {
            order.passed(poc);
            shown.push(poc);
        } else {
            order.hold(poc, MediaTime::from_millis(0), poc);
        }
        shown.extend(std::iter::from_fn(|| order.ready()).map(|(_, poc)| poc));
    }
    shown
}

#[test]
fn pictures_without_b_are_shown_at_once() {
    assert_eq!(order(&[0, 2, 4, 6, 0, 2]), [0, 2, 4, 6, 0, 2]);
    assert_eq!(order(&[0, 1, 2, 3]), [0, 1, 2, 3]);
}

#[test]
fn b_pictures_come_before_what_was_decoded_before_them() {
    assert_eq!(order(&[0, 8, 4, 2, 6, 16, 12, 10, 14, 0, 2]), [0, 2, 4, 6, 8, 10, 12, 14, 16, 0, 2]);
}

#[test]
fn a_hole_holds_no_picture_for_ever() {
    assert_eq!(order(&[0, 4, 6, 8, 10, 12, 14]), [0, 4, 6, 8, 10, 12, 14]);
}

#[test]
fn who_counts_frames_by_ones_loses_one_picture_and_no_more() {
    assert_eq!(order(&[0, 2, 1, 4, 3, 6, 5]), [0, 2, 3, 4, 5, 6]);
}

#[test]
#[ignore = "needs ffmpeg"]
fn b_pictures_are_exact_and_in_order() {
    let run = |arguments: &str| {
        let output =
            std::process::Command::new("ffmpeg").args(arguments.split_whitespace()).output().expect("ffmpeg");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    for options in [
        "b-pyramid=none",
        "b-pyramid=normal:ref=4",
        "b-pyramid=none:open-gop=1",
        "bframes=0",
        "fake-interlaced=1:bframes=2",
    ] {
        let stream = run(&format!(
            "-v error -f lavfi -i testsrc2=size=426x240:rate=15:duration=6 -c:v libx264 -threads 1 -profile:v high \
             -g 30 -bf 3 -b:v 800k -x264-params {options} -bsf:v h264_metadata=aud=insert -f h264 -"
        ));
        let file = tempfile::NamedTempFile::with_suffix(".h264").expect("a file");
        std::fs::write(file.path(), &stream).expect("written");
        let raw = run(&format!("-v error -i {} -pix_fmt yuv420p -f rawvideo -", file.path().display()));
        let mut units: Vec<Vec<u8>> = Vec::new();
        for nal in annex_b_nals(&stream) {
            if nal_type(nal) == NAL_AUD {
                units.push(Vec::new());
            }
            units.last_mut().expect("a delimiter").extend([&[0, 0, 0, 1], nal].concat());
        }
        let (mut decoder, mut shown) = (RustyDecoder::default(), Vec::new());
        let mut show =
            |_: MediaTime, view: PictureView<'_>| shown.extend(view.to_picture().planes().concat());
        for unit in &units {
            decoder.decode(unit, MediaTime::from_millis(0), &mut show).expect("decoded");
        }
        decoder.flush(&mut show);
        assert_eq!(shown.len(), raw.len(), "{options}: every picture");
        assert!(shown == raw, "{options}: to the last sample");
    }
}

/// The access units of a fixture in Annex B, cut at their delimiters.
fn fixture(name: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/../../fixtures/{name}.h264", env!("CARGO_MANIFEST_DIR"));
    access_units(&std::fs::read(path).expect("a fixture"))
}

fn access_units(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in annex_b_nals(stream) {
        if nal_type(nal) == NAL_AUD {
            units.push(Vec::new());
        }
        units.last_mut().expect("a delimiter").extend([&[0, 0, 0, 1], nal].concat());
    }
    units
}

/// What is shown of the access units from `from` on: each picture's time (its place in decode order) and luma. Errors are
/// counted.
fn shown(units: &[Vec<u8>], from: usize) -> (Vec<(i64, Vec<u8>)>, usize) {
    let (mut decoder, mut shown, mut errors) = (RustyDecoder::default(), Vec::new(), 0);
    let mut show = |pts: MediaTime, view: PictureView<'_>| {
        shown.push((pts.as_millis(), view.to_picture().planes()[0].to_vec()));
    };
    for (n, unit) in units.iter().enumerate().skip(from) {
        errors += usize::from(decoder.decode(unit, MediaTime::from_millis(n as i64), &mut show).is_err());
    }
    decoder.flush(&mut show);
    (shown, errors)
}

/// The largest mean difference of a picture from the one of the same time, and that some are there.
fn furthest(shown: &[(i64, Vec<u8>)], whole: &[(i64, Vec<u8>)]) -> f64 {
    assert!(!shown.is_empty(), "nothing is shown");
    let off = |(at, luma): &(i64, Vec<u8>)| {
        let (_, wanted) = whole.iter().find(|(of, _)| of == at).expect("a picture of this time");
        let sum: u64 = luma.iter().zip(wanted).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / luma.len() as f64
    };
    shown.iter().map(off).fold(0.0, f64::max)
}

fn entries(units: &[Vec<u8>]) -> Vec<usize> {
    let entry = |unit: &Vec<u8>| annex_b_nals(unit).any(|nal| h264::recovery_point(nal).is_some());
    (0..units.len()).filter(|n| entry(&units[*n])).collect()
}

#[test]
fn it_begins_at_any_recovery_point_and_shows_nothing_that_is_not_as_it_should_be() {
    for (name, frames, most) in
        [("open_gop", 0, 0.0), ("intra_refresh", 12, 0.5), ("refresh_in_mid_row", 12, 0.5)]
    {
        let units = fixture(name);
        let whole = shown(&units, 0).0;
        let entries = entries(&units);
        assert!(entries.len() > 2, "{name}: {entries:?}");
        for entry in entries {
            // A decoder that begins before a recovery point waits for it.
            for from in [entry, entry.saturating_sub(3).max(1)] {
                let (part, errors) = shown(&units, from);
                assert_eq!(errors, entry - from, "{name} from {from}");
                let furthest = furthest(&part, &whole);
                assert!(furthest <= most, "{name} from {from}: off by {furthest}");
                let late = part[0].0 - entry as i64;
                assert!((0..=frames + 3).contains(&late), "{name} from {from}: first {late} later");
                assert!(part.len() + entry + frames as usize + 4 >= whole.len(), "{name}: all that follow");
            }
        }
    }
}

#[test]
fn after_a_loss_it_goes_on_at_a_recovery_point() {
    let units = fixture("open_gop");
    let whole = shown(&units, 0).0;
    let entry = entries(&units)[1];
    let (mut decoder, mut part) = (RustyDecoder::default(), Vec::new());
    for (n, unit) in units.iter().enumerate() {
        if n == entry - 5 {
            decoder.lost();
            continue;
        }
        let mut show = |pts: MediaTime, view: PictureView<'_>| {
            part.push((pts.as_millis(), view.to_picture().planes()[0].to_vec()));
        };
        let decoded = decoder.decode(unit, MediaTime::from_millis(n as i64), &mut show);
        assert_eq!(decoded.is_err(), (entry - 4..entry).contains(&n), "{n}");
    }
    assert!(furthest(&part, &whole) <= 0.0, "every picture is as it should be");
    assert!(part.iter().any(|(at, _)| *at == entry as i64));
}

/// Annex B as x264 writes it with `options`.
fn coded(options: &str) -> Vec<Vec<u8>> {
    let command = format!(
        "-v error -f lavfi -i testsrc2=s=320x192:r=25 -frames:v 120 -c:v libx264 -threads 1 -preset medium -b:v 600k \
         -pix_fmt yuv420p -x264-params {options}:scenecut=0 -bsf:v h264_metadata=aud=insert -f h264 -"
    );
    let output =
        std::process::Command::new("ffmpeg").args(command.split_whitespace()).output().expect("ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    access_units(&output.stdout)
}

#[test]
#[ignore = "needs ffmpeg"]
fn it_begins_anywhere_in_whatever_x264_makes_without_idr_pictures() {
    for (options, most) in [
        ("open-gop=1:bframes=3:b-pyramid=normal:ref=4:keyint=24:min-keyint=24", 0.0),
        ("open-gop=1:bframes=3:b-pyramid=none:direct=temporal:ref=8:keyint=32:min-keyint=32", 0.0),
        ("open-gop=1:bframes=0:ref=1:keyint=16:min-keyint=16", 0.0),
        ("open-gop=1:bframes=1:cabac=0:keyint=20:min-keyint=20", 0.0),
        ("open-gop=1:bframes=2:slices=4:keyint=17:min-keyint=17", 0.0),
        ("intra-refresh=1:bframes=0:ref=1:keyint=25", 1.0),
        ("intra-refresh=1:bframes=0:ref=4:keyint=16", 1.0),
        ("intra-refresh=1:bframes=2:ref=4:keyint=24", 1.0),
        ("intra-refresh=1:bframes=0:cabac=0:ref=3:keyint=32", 1.0),
        ("intra-refresh=1:bframes=0:slices=4:ref=3:keyint=30", 1.0),
        ("intra-refresh=1:bframes=0:ref=16:keyint=33", 1.0),
    ] {
        let units = coded(options);
        let whole = shown(&units, 0).0;
        for entry in entries(&units) {
            if entry + 45 > units.len() {
                continue;
            }
            let (part, errors) = shown(&units, entry);
            assert_eq!(errors, 0, "{options} from {entry}");
            let furthest = furthest(&part, &whole);
            assert!(furthest <= most, "{options} from {entry}: off by {furthest}");
            assert!(part[0].0 <= entry as i64 + 44, "{options} from {entry}: {}", part[0].0);
        }
    }
}
