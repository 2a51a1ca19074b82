//! Answers for paths of a mount: recordings and their list.
//!
//! ```text
//! /<mount>/index.json?series=<identifier>                                      the list of recordings
//! ?wowzaplaystart=<ms>&wowzaplayduration=<ms>          at playlist.m3u8, manifest.mpd; also playstart, playduration
//! ```

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::answer::{Answer, IMMUTABLE};
use super::carry::Carry;
use super::disposition::attachment;
use super::document::RecordingRequest;
use super::document_cache::DocumentCache;
use super::fault::told;
use super::route::MountPath;
use crate::delivery::AnswerKind;
use crate::delivery::address::{AddressError, StreamRef, without_grant};
use crate::delivery::unserved::Unserved;
use amphi_http::{
    Body, Conditions, ContentMetadata, ETag, FileRanges, Requested, SentFile, Validators, content, empty,
    requested_part, requested_range,
};
use amphi_media::Segment;
use amphi_vod::{
    self as vod, Extent, Layout, Mount, Recording, RecordingFile, RecordingStream, VodFault, part_of,
};

const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// The answer to a GET or HEAD of what `path` names beneath `mount`.
pub(super) async fn answer(
    request: &Parts,
    mount: &Mount,
    made: &DocumentCache,
    path: &MountPath,
    carry: &Carry,
) -> Answer {
    if let Some(found) = made.fresh(mount, request).await {
        return carry.document(found).answer(request);
    }
    let asked = RecordingRequest { request, mount, made };
    let found = match (&path.address.stream, &path.file) {
        (None, None) => asked.index().await,
        (Some(StreamRef::Recording(stream)), Some(file)) => {
            if let Some(found) = asked.find(stream, file).await {
                found
            } else {
                let media = media(request, mount, stream, file).await;
                return media.unwrap_or_else(|fault| refusal(request, mount.asker(), &fault));
            }
        }
        _ => Err(VodFault::NotFound),
    };
    match found {
        Ok(found) => {
            made.remember(mount, request, &found).await;
            carry.document(found).answer(request)
        }
        Err(fault) => refusal(request, mount.asker(), &fault),
    }
}

/// The answer if a path beneath a mount is no address.
pub(super) fn lost(request: &Parts, asker: Option<IpAddr>, error: AddressError) -> Answer {
    let path = &*without_grant(request.uri.path());
    let fault = match error {
        AddressError::Name => VodFault::of_name(path, "an encoded slash, a backslash or NUL", asker),
        AddressError::Outside => VodFault::of_name(path, "it may lead out of the root", asker),
        AddressError::Escape | AddressError::Form => VodFault::NotFound,
    };
    refusal(request, asker, &fault)
}

/// Media: ranges of the file after a head of some kilobytes.
async fn media(
    request: &Parts,
    mount: &Mount,
    stream: &RecordingStream,
    file: &RecordingFile,
) -> Result<Answer, VodFault> {
    match file {
        RecordingFile::Init(names, kind) => {
            let recording = mount.version(stream, names).await?;
            let bytes = Segment::from(recording.init(*kind).ok_or(VodFault::Gone)?);
            let content_type = media_type(&recording, *kind);
            let description = ContentMetadata { content_type, cache_control: IMMUTABLE, etag: None };
            Ok((AnswerKind::Init, content(request, &bytes, description)))
        }
        RecordingFile::Segment(names, kind, from, to) => {
            let recording = mount.version(stream, names).await?;
            let layout = mount.segment(&recording, *kind, *from, *to).await?;
            let part = requested_range(&request.headers, layout.total_len() as usize);
            let response = bytes(request, mount, &recording, &layout, part).await?;
            let response = with(response, &[(CONTENT_TYPE, media_type(&recording, *kind))]);
            Ok((AnswerKind::Segment, with(response, &[(CACHE_CONTROL, IMMUTABLE)])))
        }
        RecordingFile::SegmentAt(names, kind, start) => {
            let recording = mount.version(stream, names).await?;
            let layout = mount.segment_at(&recording, *kind, *start).await?;
            let part = requested_range(&request.headers, layout.total_len() as usize);
            let response = bytes(request, mount, &recording, &layout, part).await?;
            let response = with(response, &[(CONTENT_TYPE, media_type(&recording, *kind))]);
            Ok((AnswerKind::Segment, with(response, &[(CACHE_CONTROL, IMMUTABLE)])))
        }
        RecordingFile::Download => match download(request, mount, stream).await {
            // It was overwritten within the last seconds: the new one is there.
            Err(VodFault::Overwritten { .. }) => download(request, mount, stream).await,
            done => done,
        },
        _ => Err(VodFault::NotFound),
    }
}

/// A whole file. A download that broke off goes on where it was if the file is still the same version (RFC 9110 §13.1.5), and
/// begins anew if it is not.
async fn download(request: &Parts, mount: &Mount, stream: &RecordingStream) -> Result<Answer, VodFault> {
    let RecordingStream::File(path) = stream else { return Err(VodFault::NotFound) };
    if !mount.settings().download {
        return Err(VodFault::NotFound);
    }
    let recording = mount.recording(path).await?;
    let (stamp, now) = (recording.stamp, SystemTime::now());
    let validators = Validators::new(ETag::of(stamp.text().as_bytes()), stamp.modified);
    let etag = (ETAG, validators.etag.value().clone());
    let mut fields = vec![(CACHE_CONTROL, NO_CACHE), etag];
    fields.extend(validators.last_modified(now));
    let status = match validators.evaluate(&request.method, &request.headers) {
        Conditions::NotModified => StatusCode::NOT_MODIFIED,
        Conditions::Failed => return Ok((AnswerKind::Refused, empty(StatusCode::PRECONDITION_FAILED))),
        Conditions::Hold => StatusCode::OK,
    };
    if status == StatusCode::NOT_MODIFIED {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        return Ok((AnswerKind::Other, with(response, &fields)));
    }
    let whole = recording.whole();
    let requested = if validators.may_be_parted(&request.headers, now) {
        requested_part(&request.headers, whole.total_len() as usize)
    } else {
        Requested::Whole
    };
    let response = bytes(request, mount, &recording, &whole, requested).await?;
    if response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
        fields.push((CONTENT_TYPE, media_type(&recording, vod::TrackSelection::Both)));
        fields.push((CONTENT_DISPOSITION, attachment(path.rsplit('/').next().unwrap_or(path))));
    }
    Ok((AnswerKind::Other, with(response, &fields)))
}

/// 200, 206 or 416 (RFC 9110 §14.2, §15.5.17) with bytes of a file. The first of them are read, or seen to be at hand, before
/// the head is sent, so that a file that cannot be read is still a refusal.
async fn bytes(
    request: &Parts,
    mount: &Mount,
    recording: &Arc<Recording>,
    layout: &Layout,
    requested: Requested,
) -> Result<Response<Body>, VodFault> {
    let whole = layout.total_len();
    // HEAD has no parts (§14.2).
    let requested = if request.method == Method::GET { requested } else { Requested::Whole };
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
        *response.body_mut() = body(mount, recording, layout).await?;
    }
    let bytes = HeaderValue::from_static("bytes");
    Ok(with(response, &[(CONTENT_LENGTH, length.into()), (ACCEPT_RANGES, bytes)]))
}

/// The bytes of a layout, of which the first are at hand.
async fn body(mount: &Mount, recording: &Arc<Recording>, layout: Layout) -> Result<Body, VodFault> {
    let ranges: Vec<Range<u64>> = layout.extents.iter().map(|it| it.offset..it.end()).collect();
    let can_be_sent = match ranges.first() {
        Some(first) if layout.has_long_ranges() => {
            mount.prepare(recording, FileRanges::stretch(first)).await?
        }
        _ => false,
    };
    if !can_be_sent {
        let (first, later) = mount.read(recording, &layout).await?;
        let left = layout.total_len() - (layout.head.len() + first.len()) as u64;
        let pieces = [layout.head, first, Bytes::new()];
        return Ok(match later {
            Some(later) => Body::streaming(pieces, later, left),
            None => Body::from(pieces),
        });
    }
    let pieces = [layout.head, Bytes::new(), Bytes::new()];
    let file = RecordedFile { mount: mount.clone(), recording: Arc::clone(recording) };
    Ok(Body::of_file(pieces, FileRanges::new(Arc::new(file), ranges)))
}

/// A recording whose file is sent.
#[derive(Debug)]
struct RecordedFile {
    mount: Mount,
    recording: Arc<Recording>,
}

impl SentFile for RecordedFile {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.recording.descriptor()
    }

    fn is_at_hand(&self, range: &Range<u64>) -> bool {
        self.mount.is_at_hand(&self.recording, range)
    }

    fn is_as_promised(&self) -> bool {
        self.recording.is_as_it_was()
    }

    fn fetch(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { self.mount.fetch(&self.recording, range).await.map_err(io::Error::other) })
    }

    fn read(&self, ranges: Vec<Range<u64>>) -> BoxStream<'static, io::Result<Bytes>> {
        let extents = ranges.iter().map(|range| Extent { offset: range.start, len: range.end - range.start });
        self.mount.stream(&self.recording, &extents.collect::<Vec<_>>())
    }
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

fn media_type(recording: &Recording, kind: vod::TrackSelection) -> HeaderValue {
    let is_sound = kind.is_sound() || recording.movie.video.is_none();
    HeaderValue::from_static(if is_sound { "audio/mp4" } else { "video/mp4" })
}

/// The answer to a fault of a recording.
fn refusal(request: &Parts, asker: Option<IpAddr>, fault: &VodFault) -> Answer {
    told(Unserved::new(&without_grant(request.uri.path()), asker, fault), &fault.to_string())
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;
    use amphi_runtime::workshop::Refused;

    #[test]
    fn refusals_say_whose_fault_it_is() {
        let request = http::Request::get("/vod/mp4:a.mp4/playlist.m3u8").body(()).expect("a request");
        let (request, ()) = request.into_parts();
        let said = |fault| {
            let (_, answer) = refusal(&request, None, &fault);
            let again =
                answer.headers().get(RETRY_AFTER).map(|field| field.to_str().unwrap_or("").to_owned());
            (answer.status().as_u16(), again)
        };
        let seconds = |number: u32| Some(number.to_string());
        assert_eq!(said(VodFault::Refused(Refused::Busy)), (503, seconds(1)));
        assert_eq!(said(VodFault::Refused(Refused::Panicked)), (500, None));
        assert_eq!(said(VodFault::Slow), (503, seconds(2)));
        assert_eq!(said(VodFault::Gone), (404, None));
    }
}
