//! Recordings: paths of a mount, and what they are answered with.
//!
//! ```text
//! /<mount>/[_definst_/]smil:<path>.smil/<file> · mp4:<path>[.mp4]/<file>      files: see `vod::names`
//! /<mount>/index.json?series=<identifier>                                      the list of recordings
//! ?wowzaplaystart=<ms>&wowzaplayduration=<ms>          at playlist.m3u8, manifest.mpd; also playstart, playduration
//! ```
//! Names of directories and files may have any characters but `/`, `\` and NUL; an encoded slash is refused.

use std::ops::Range;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    RETRY_AFTER,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use tracing::{debug, warn};

use super::Kind;
use super::answer::{Answer, DASH, IMMUTABLE, PLAYLIST, SECONDS};
use super::poster::Posters;
use super::route::{DEFAULT_INSTANCE, decode};
use crate::http::{Body, Description, ETag, Requested, content, empty, problem, requested_range};
use crate::log;
use crate::media::Segment;
use crate::vod::{self, File, Layout, Mount, Recording, Stream, Trim, VodFault, parse_file, part_of};

const TEN_SECONDS: HeaderValue = HeaderValue::from_static("public, max-age=10");
const WEBVTT: HeaderValue = HeaderValue::from_static("text/vtt; charset=utf-8");
const JPEG: HeaderValue = HeaderValue::from_static("image/jpeg");
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// The answer to a GET or HEAD beneath a mount.
pub(super) async fn answer(request: &Parts, mount: &Mount, posters: &Posters) -> Answer {
    let path = request.uri.path();
    let answer = if path.ends_with("/index.json") && path.matches('/').count() == 2 {
        index(request, mount).await
    } else if let Some((stream, file)) = parse(path) {
        file_answer(request, mount, posters, &stream, &file).await
    } else if has_odd_letters(path) {
        Err(VodFault::of_name(path, "an encoded slash, a backslash or NUL"))
    } else {
        Err(VodFault::NotFound)
    };
    match answer {
        Ok(answer) => answer,
        Err(fault) => refusal(request, &fault),
    }
}

/// Letters that no name has.
const ODD: [char; 3] = ['/', '\\', '\0'];

fn has_odd_letters(path: &str) -> bool {
    path.split('/').any(|part| decode(part).is_ok_and(|part| part.contains(ODD)))
}

/// Mount and stream that a path names, decoded, for the door; empty where it names none.
pub(super) fn asked(path: &str) -> (String, String) {
    let parts =
        path.trim_start_matches('/').split('/').map(|part| decode(part).unwrap_or_default().into_owned());
    let mut parts: Vec<_> = parts.filter(|part| part != DEFAULT_INSTANCE).collect();
    // What is asked of the stream.
    parts.pop();
    let app = if parts.is_empty() { String::new() } else { parts.remove(0) };
    (app, parts.join("/"))
}

/// Stream and file of a path; its first part is the mount's name.
fn parse(path: &str) -> Option<(Stream, File)> {
    let mut parts = decoded(path)?;
    let file = parse_file(&parts.pop()?)?;
    Some((stream(parts)?, file))
}

/// The stream that the path of an RTSP URL names.
pub(super) fn parse_play(path: &str) -> Option<Stream> {
    stream(decoded(path)?)
}

fn decoded(path: &str) -> Option<Vec<String>> {
    let parts: Option<Vec<String>> =
        path.strip_prefix('/')?.split('/').map(|part| Some(decode(part).ok()?.into_owned())).collect();
    parts.filter(|parts| !parts.iter().any(|part| part.contains(ODD)))
}

/// Behind the mount's name.
fn stream(parts: Vec<String>) -> Option<Stream> {
    let mut parts = parts.into_iter().skip(1).peekable();
    parts.next_if(|part| part == DEFAULT_INSTANCE);
    let path = parts.collect::<Vec<_>>().join("/");
    let (prefix, path) = path.split_once(':').map_or((None, &*path), |(prefix, path)| (Some(prefix), path));
    if path.is_empty() {
        return None;
    }
    let is_smil = path.to_ascii_lowercase().ends_with(".smil");
    match prefix {
        Some("smil") | None if is_smil => Some(Stream::Smil(path.to_owned())),
        Some("smil") => Some(Stream::Smil(format!("{path}.smil"))),
        Some("mp4" | "mp3" | "m4a") | None => Some(Stream::File(vod::with_extension(path))),
        Some(_) => None,
    }
}

async fn file_answer(
    request: &Parts,
    mount: &Mount,
    posters: &Posters,
    stream: &Stream,
    file: &File,
) -> Result<Answer, VodFault> {
    match file {
        File::Multivariant => {
            let presentation = mount.open(stream).await?;
            let texts = mount.texts(&presentation).await?;
            let text = Mount::multivariant(&presentation, trim(request), &texts);
            Ok((Kind::Multivariant, playlist(request, text, SECONDS)))
        }
        File::Nearest(bitrate) => {
            let presentation = mount.open(stream).await?;
            let far = |it: &&vod::Rendition| bitrate.map_or(0, |asked| it.recording.rates.1.abs_diff(asked));
            let nearest = presentation.renditions.iter().min_by_key(far).ok_or(VodFault::NotFound)?;
            let trim = Some(trim(request)).filter(|trim| !trim.is_whole()).unwrap_or(nearest.trim);
            let text = nearest.recording.media_playlist(nearest.kind, trim).ok_or(VodFault::Gone)?;
            Ok((Kind::MediaPlaylist, playlist(request, text, TEN_SECONDS)))
        }
        File::Playlist(key, kind, trim) => {
            let recording = mount.rendition(stream, key).await?;
            let text = recording.media_playlist(*kind, *trim).ok_or(VodFault::Gone)?;
            Ok((Kind::MediaPlaylist, playlist(request, text, TEN_SECONDS)))
        }
        File::IFrames(key, trim) => {
            let recording = mount.rendition(stream, key).await?;
            let text = recording.i_frame_playlist(*trim).ok_or(VodFault::Gone)?;
            Ok((Kind::MediaPlaylist, playlist(request, text, TEN_SECONDS)))
        }
        File::Init(names, kind) => {
            let recording = named(mount, stream, names).await?;
            let bytes = Segment::from(recording.init(*kind).ok_or(VodFault::Gone)?);
            let content_type = media_type(&recording, *kind);
            let description = Description { content_type, cache_control: IMMUTABLE, etag: None };
            Ok((Kind::Init, content(request, &bytes, description)))
        }
        File::Segment(names, kind, from, to) => {
            let recording = named(mount, stream, names).await?;
            let layout = recording.segment(*kind, *from, *to)?;
            let response = bytes(request, mount, &recording, &layout, media_type(&recording, *kind)).await?;
            Ok((Kind::Segment, with(response, &[(CACHE_CONTROL, IMMUTABLE)])))
        }
        File::SegmentAt(names, kind, start) => {
            let recording = named(mount, stream, names).await?;
            let layout = recording.segment_at(*kind, *start)?;
            let response = bytes(request, mount, &recording, &layout, media_type(&recording, *kind)).await?;
            Ok((Kind::Segment, with(response, &[(CACHE_CONTROL, IMMUTABLE)])))
        }
        File::Manifest => {
            let presentation = mount.open(stream).await?;
            let texts = mount.texts(&presentation).await?;
            let text = Mount::manifest(&presentation, trim(request), &texts);
            Ok((Kind::Multivariant, document(request, text, DASH, SECONDS)))
        }
        File::TextPlaylist(index, trim) => {
            let presentation = mount.open(stream).await?;
            mount.texts(&presentation).await?.get(*index).ok_or(VodFault::NotFound)?;
            let text = Mount::text_playlist(&presentation, *index, *trim);
            Ok((Kind::MediaPlaylist, playlist(request, text, TEN_SECONDS)))
        }
        File::WholeText(index, trim) => {
            let presentation = mount.open(stream).await?;
            let texts = mount.texts(&presentation).await?;
            let cues = mount.cues(texts.get(*index).ok_or(VodFault::NotFound)?).await?;
            let text = Mount::whole_text(&presentation, &cues, *trim);
            Ok((Kind::Segment, document(request, text, WEBVTT, TEN_SECONDS)))
        }
        File::Text(index, part) => {
            let presentation = mount.open(stream).await?;
            let texts = mount.texts(&presentation).await?;
            let cues = mount.cues(texts.get(*index).ok_or(VodFault::NotFound)?).await?;
            let text = Mount::text_segment(&cues, *part);
            Ok((Kind::Segment, document(request, text, WEBVTT, TEN_SECONDS)))
        }
        File::Chapters => {
            let presentation = mount.open(stream).await?;
            let chapters = mount.chapters(&presentation).await?;
            let text = serde_json::to_string(&chapters).unwrap_or_default();
            Ok((Kind::Other, document(request, text, JSON, TEN_SECONDS)))
        }
        File::Poster => poster(request, mount, posters, stream).await,
        File::Download => download(request, mount, stream).await,
    }
}

/// The rendition with these names, unless its file has changed since.
async fn named(
    mount: &Mount,
    stream: &Stream,
    names: &vod::Names,
) -> Result<std::sync::Arc<Recording>, VodFault> {
    let recording = mount.rendition(stream, &names.key).await?;
    if recording.names.tag == names.tag { Ok(recording) } else { Err(VodFault::Gone) }
}

/// The list of recordings; `?series=` leaves those of one series.
async fn index(request: &Parts, mount: &Mount) -> Result<Answer, VodFault> {
    if !mount.settings().index {
        return Err(VodFault::NotFound);
    }
    let all = mount.list().await?;
    let series = query(request, "series");
    let is_wanted = |listed: &&vod::Listed| series.is_none() || listed.series == series;
    let wanted: Vec<&vod::Listed> = all.iter().filter(is_wanted).collect();
    let text = serde_json::to_string(&wanted).unwrap_or_default();
    Ok((Kind::Other, document(request, text, JSON, TEN_SECONDS)))
}

/// The picture at the key frame nearest to `?t=` seconds, `?width=` pixels wide.
async fn poster(
    request: &Parts,
    mount: &Mount,
    posters: &Posters,
    stream: &Stream,
) -> Result<Answer, VodFault> {
    if !mount.settings().poster {
        return Err(VodFault::NotFound);
    }
    let number = |name: &str| query(request, name)?.parse::<f64>().ok().filter(|number| number.is_finite());
    let ms = (number("t").unwrap_or(0.0).clamp(0.0, 1e6) * 1000.0) as u64;
    let width = number("width").unwrap_or(640.0).clamp(16.0, 1920.0) as u32;
    let presentation = mount.open(stream).await?;
    let size = |it: &&vod::Rendition| it.recording.movie.picture_size().map(|(width, _)| width);
    let best = presentation.renditions.iter().max_by_key(size).ok_or(VodFault::NotFound)?;
    let recording = &best.recording;
    let sync = recording.sync_near(ms).ok_or(VodFault::NotFound)?;
    let sample = async {
        let bytes = mount.read_sample(recording, sync).await?;
        recording.access_unit(&bytes).ok_or(VodFault::NotFound)
    };
    let name = format!("{}_{}_{sync}_{width}", recording.names.key, recording.names.tag);
    let picture = posters.get(name, width, sample).await?;
    let etag = ETag::of(&picture);
    let description = Description { content_type: JPEG, cache_control: AN_HOUR, etag: Some(&etag) };
    Ok((Kind::Other, content(request, &Segment::from(picture), description)))
}

fn query(request: &Parts, name: &str) -> Option<String> {
    let query = request.uri.query().unwrap_or_default();
    let mut fields = url::form_urlencoded::parse(query.as_bytes());
    fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn download(request: &Parts, mount: &Mount, stream: &Stream) -> Result<Answer, VodFault> {
    let Stream::File(path) = stream else { return Err(VodFault::NotFound) };
    if !mount.settings().download {
        return Err(VodFault::NotFound);
    }
    let recording = mount.recording(path).await?;
    let response =
        bytes(request, mount, &recording, &recording.whole(), media_type(&recording, vod::Kind::Both))
            .await?;
    let name: String = path.rsplit('/').next().unwrap_or(path).chars().map(plain).collect();
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")).unwrap_or(NO_CACHE);
    Ok((Kind::Other, with(response, &[(CACHE_CONTROL, NO_CACHE), (CONTENT_DISPOSITION, disposition)])))
}

/// Characters that every browser takes in a quoted file name.
fn plain(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || "._- ".contains(letter) { letter } else { '_' }
}

/// 200 or 206 with bytes of a file: the first of them are read before anything is said.
async fn bytes(
    request: &Parts,
    mount: &Mount,
    recording: &std::sync::Arc<Recording>,
    layout: &Layout,
    content_type: HeaderValue,
) -> Result<Response<Body>, VodFault> {
    let whole = layout.total_len();
    let requested = match request.method {
        Method::GET => requested_range(&request.headers, whole as usize),
        _ => Requested::Whole,
    };
    let (status, range) = match requested {
        Requested::Whole => (StatusCode::OK, 0..whole),
        Requested::Part(Range { start, end }) => (StatusCode::PARTIAL_CONTENT, start as u64..end as u64),
        Requested::Unsatisfiable => {
            let response = empty(StatusCode::RANGE_NOT_SATISFIABLE);
            return Ok(with_range(response, format!("bytes */{whole}")));
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status == StatusCode::PARTIAL_CONTENT {
        response = with_range(response, format!("bytes {}-{}/{whole}", range.start, range.end - 1));
    }
    let length = range.end - range.start;
    if request.method == Method::GET {
        let layout = part_of(layout, range);
        let (first, later) = mount.read(recording, &layout).await?;
        let ready = (layout.head.len() + first.len()) as u64;
        let pieces = [layout.head, first, Bytes::new()];
        *response.body_mut() = match later {
            Some(later) => Body::streaming(pieces, later, length - ready),
            None => Body::from(pieces),
        };
    }
    let bytes = HeaderValue::from_static("bytes");
    Ok(with(
        response,
        &[(CONTENT_TYPE, content_type), (CONTENT_LENGTH, length.into()), (ACCEPT_RANGES, bytes)],
    ))
}

fn with(mut response: Response<Body>, fields: &[(http::HeaderName, HeaderValue)]) -> Response<Body> {
    for (name, value) in fields {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

fn with_range(response: Response<Body>, field: String) -> Response<Body> {
    match HeaderValue::try_from(field) {
        Ok(value) => with(response, &[(CONTENT_RANGE, value)]),
        Err(_) => response,
    }
}

fn playlist(request: &Parts, text: String, cache_control: HeaderValue) -> Response<Body> {
    document(request, text, PLAYLIST, cache_control)
}

fn document(
    request: &Parts,
    text: String,
    content_type: HeaderValue,
    cache_control: HeaderValue,
) -> Response<Body> {
    let etag = ETag::of(text.as_bytes());
    let description = Description { content_type, cache_control, etag: Some(&etag) };
    content(request, &Segment::from(Bytes::from(text)), description)
}

fn media_type(recording: &Recording, kind: vod::Kind) -> HeaderValue {
    let is_sound = matches!(kind, vod::Kind::Sound(_)) || recording.movie.video.is_none();
    HeaderValue::from_static(if is_sound { "audio/mp4" } else { "video/mp4" })
}

/// What the query wants to be trimmed, in milliseconds.
fn trim(request: &Parts) -> Trim {
    let fields = url::form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
    let mut trim = Trim::default();
    for (name, value) in fields {
        let Ok(ms) = value.parse::<f64>() else { continue };
        let ms = ms.clamp(0.0, 1e9) as u64;
        match name.to_ascii_lowercase().trim_start_matches("wowza") {
            "playstart" => trim.start_ms = ms,
            "playduration" if ms > 0 => trim.duration_ms = Some(ms),
            _ => {}
        }
    }
    trim
}

/// The one place that turns a fault of a recording into a status.
fn refusal(request: &Parts, fault: &VodFault) -> Answer {
    let path = request.uri.path();
    match fault {
        VodFault::NotFound | VodFault::Gone => {
            debug!(path, %fault, "refused");
            (Kind::Refused, problem(StatusCode::NOT_FOUND, &fault.to_string()))
        }
        // It may be there in a moment: players come again after 503.
        VodFault::Unfinished { .. } | VodFault::Slow | VodFault::Io { .. } => {
            if log::may_say("recording", None) {
                warn!(path, %fault, "a recording cannot be served now");
            }
            let response = problem(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string());
            (Kind::NotReady, with(response, &[(RETRY_AFTER, HeaderValue::from(2))]))
        }
        VodFault::Index { .. } | VodFault::NotMp4 { .. } | VodFault::Smil { .. } | VodFault::Picture(_) => {
            if log::may_say("recording", None) {
                warn!(path, %fault, "a recording cannot be served");
            }
            (Kind::Refused, problem(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtsp_urls_name_the_same_streams() {
        let file = |path: &str| Some(Stream::File(path.to_owned()));
        for (path, stream) in [
            ("/vod/mp4:a/b.mp4", file("a/b.mp4")),
            ("/vod/_definst_/mp4:a/b", file("a/b.mp4")),
            ("/vod/a%20b.mp4", file("a b.mp4")),
            ("/vod/smil:a.smil", Some(Stream::Smil("a.smil".to_owned()))),
            ("/vod/mp4:a%2Fb.mp4", None),
            ("/vod", None),
            ("", None),
        ] {
            assert_eq!(parse_play(path), stream, "{path}");
        }
    }

    #[test]
    fn paths_in_all_their_forms() {
        let file = |path: &str| Some(Stream::File(path.to_owned()));
        let smil = |path: &str| Some(Stream::Smil(path.to_owned()));
        for (path, stream) in [
            ("/vod/smil:a/b_presenter.smil/playlist.m3u8", smil("a/b_presenter.smil")),
            ("/vod/_definst_/smil:b.smil/manifest_mpm4sav_mvlist.mpd", smil("b.smil")),
            ("/vod/_definst_/a/b.smil/playlist.m3u8", smil("a/b.smil")),
            ("/vod/mp4:engage-player/x/y/PAES_hd/playlist.m3u8", file("engage-player/x/y/PAES_hd.mp4")),
            ("/vod/mp4%3Aa%20b.mp4/playlist.m3u8", file("a b.mp4")),
            ("/vod/a.mov/chunklist_w1_b2.m3u8", file("a.mov")),
            ("/vod/mp4:a%2F..%2Fb.mp4/playlist.m3u8", None),
            ("/vod/mp4:a%00.mp4/playlist.m3u8", None),
            ("/vod/rtp:a.mp4/playlist.m3u8", None),
            ("/vod/playlist.m3u8", None),
            ("/vod/mp4:a.mp4/index.html", None),
        ] {
            assert_eq!(parse(path).map(|(stream, _)| stream), stream, "{path}");
        }
    }
}
