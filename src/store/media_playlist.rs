//! Media playlists (RFC 8216 §4.3.3, §4.3.2).

use std::fmt::Write as _;

use super::rung::Rung;
use crate::media::{CellIndex, Grid};

/// The live media playlist of `rung` that lists `cells`.
///
/// Version 7 stands for fragmented MP4 with an initialization section: §7 asks for at least 6 for
/// `EXT-X-MAP` beside pictures, and Apple's authoring rules for 7. Every segment has its date, so that a player
/// that joins anywhere can align rungs; media time is unix time, so all rungs agree by construction
/// (§6.2.4). There is no discontinuity to be written, ever.
pub(super) fn render(rung: &Rung, grid: Grid, cells: impl Iterator<Item = CellIndex> + Clone) -> String {
    let mut out = String::with_capacity(1024);
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, rung, grid, cells);
    out
}

fn write_all(
    out: &mut String,
    rung: &Rung,
    grid: Grid,
    cells: impl Iterator<Item = CellIndex> + Clone,
) -> std::fmt::Result {
    let first = cells.clone().next().unwrap_or_default();
    writeln!(out, "#EXTM3U")?;
    writeln!(out, "#EXT-X-VERSION:7")?;
    writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
    // The same in all rungs (§6.2.4); no EXTINF rounds to more, not that of sound alone either, which
    // differs from the cell by less than one frame (§4.3.3.1).
    writeln!(out, "#EXT-X-TARGETDURATION:{}", grid.duration_ms().div_ceil(1000))?;
    writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{first}")?;
    writeln!(out, "#EXT-X-MAP:URI=\"{}\"", rung.init_name())?;
    for k in cells {
        let span = rung.span(grid, k);
        writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", span.start)?;
        writeln!(out, "#EXTINF:{:.6},", span.duration.as_secs_f64())?;
        writeln!(out, "{}", rung.segment_name(k))?;
    }
    Ok(())
}
