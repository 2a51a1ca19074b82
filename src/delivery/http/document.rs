//! Answers about recordings that take computing: playlists, manifests, subtitles, chapters,
//! pictures, lists. Each is named here with the versions of the files that it is made of; [`DocumentCache`] has it computed.

use http::HeaderValue;
use http::request::Parts;
use tracing::{Instrument, Span, info_span};

use super::answer::{DASH, PLAYLIST, SECONDS};
use super::document_cache::{DocumentCache, FoundDocument, StoredDocument};
use super::query::{poster_ms, poster_width, series, trim};
use crate::delivery::AnswerKind;
use crate::delivery::address::without_grant;
use crate::delivery::poster::poster;
use amphi_vod::{self as vod, Mount, Presentation, Recording, RecordingFile, RecordingStream, VodFault};

const TEN_SECONDS: HeaderValue = HeaderValue::from_static("public, max-age=10");
const WEBVTT: HeaderValue = HeaderValue::from_static("text/vtt; charset=utf-8");
const JPEG: HeaderValue = HeaderValue::from_static("image/jpeg");
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request about a recording, and where the answer is looked for and made.
#[derive(Clone, Copy)]
pub(super) struct RecordingRequest<'a> {
    pub(super) request: &'a Parts,
    pub(super) mount: &'a Mount,
    pub(super) made: &'a DocumentCache,
}

type Answered = Result<FoundDocument, VodFault>;

/// Writes a playlist of a recording.
type Write = dyn FnOnce(&Recording) -> Option<String> + Send;

impl RecordingRequest<'_> {
    /// The document that `file` of `stream` is; `None` if it is media, which is read and not computed.
    pub(super) async fn find(self, stream: &RecordingStream, file: &RecordingFile) -> Option<Answered> {
        Some(match file {
            RecordingFile::Multivariant | RecordingFile::Manifest => self.presentation(stream, file).await,
            RecordingFile::Nearest(bitrate) => self.nearest(stream, *bitrate).await,
            RecordingFile::Playlist(..) | RecordingFile::IFrames(..) => self.playlist(stream, file).await,
            RecordingFile::TextPlaylist(..) | RecordingFile::WholeText(..) | RecordingFile::Text(..) => {
                self.text(stream, file).await
            }
            RecordingFile::Chapters => self.chapters(stream).await,
            RecordingFile::Poster => self.poster(stream).await,
            RecordingFile::Init(..)
            | RecordingFile::Segment(..)
            | RecordingFile::SegmentAt(..)
            | RecordingFile::Download => return None,
        })
    }

    /// The document named `what`, made by `make` if it is not kept.
    async fn document(
        self,
        what: String,
        make: impl FnOnce() -> Result<StoredDocument, VodFault> + Send + 'static,
    ) -> Result<StoredDocument, VodFault> {
        let name = format!("{} {what}", self.mount.serial());
        self.made.get(name, async { self.mount.compute(make).instrument(self.span()).await? }).await
    }

    /// Names the recording where something of it is made.
    fn span(self) -> Span {
        info_span!("recording", name = %without_grant(self.request.uri.path()))
    }

    async fn presentation(self, stream: &RecordingStream, file: &RecordingFile) -> Answered {
        let presentation = self.mount.open(stream).await?;
        let texts = self.mount.texts(stream, &presentation).await?;
        let trim = trim(self.request);
        let what = format!("{file:?} {trim:?} {} {texts:?}", presentation.version());
        let is_manifest = *file == RecordingFile::Manifest;
        let make = move || {
            let write = if is_manifest { Presentation::manifest } else { Presentation::multivariant };
            Ok(StoredDocument::of(write(&presentation, trim, &texts)))
        };
        let document = self.document(what, make).await?;
        let content_type = if is_manifest { DASH } else { PLAYLIST };
        Ok(FoundDocument { kind: AnswerKind::Multivariant, document, content_type, cache_control: SECONDS })
    }

    async fn nearest(self, stream: &RecordingStream, bitrate: Option<u64>) -> Answered {
        let presentation = self.mount.open(stream).await?;
        let far =
            |it: &&vod::Rendition| bitrate.map_or(0, |asked| it.recording.rates.average_bps.abs_diff(asked));
        let nearest = presentation.renditions.iter().min_by_key(far).ok_or(VodFault::NotFound)?;
        let trim = Some(trim(self.request)).filter(|trim| !trim.is_whole()).unwrap_or(nearest.trim);
        let (kind, recording) = (nearest.kind, std::sync::Arc::clone(&nearest.recording));
        let what = format!("media {:?} {kind:?} {trim:?}", recording.names);
        let make = move || recording.media_playlist(kind, trim).map(StoredDocument::of).ok_or(VodFault::Gone);
        Ok(media_playlist(self.document(what, make).await?))
    }

    async fn playlist(self, stream: &RecordingStream, file: &RecordingFile) -> Answered {
        let (RecordingFile::Playlist(names, ..) | RecordingFile::IFrames(names, _)) = file else {
            return Err(VodFault::NotFound);
        };
        let recording = self.mount.rendition(stream, names).await?;
        let (what, make): (_, Box<Write>) = match *file {
            RecordingFile::Playlist(_, kind, trim) => {
                let what = format!("media {:?} {kind:?} {trim:?}", recording.names);
                (what, Box::new(move |it| it.media_playlist(kind, trim)))
            }
            RecordingFile::IFrames(_, trim) => {
                let what = format!("i-frames {:?} {trim:?}", recording.names);
                (what, Box::new(move |it| it.i_frame_playlist(trim)))
            }
            _ => return Err(VodFault::NotFound),
        };
        let make = move || make(&recording).map(StoredDocument::of).ok_or(VodFault::Gone);
        Ok(media_playlist(self.document(what, make).await?))
    }

    async fn text(self, stream: &RecordingStream, file: &RecordingFile) -> Answered {
        let presentation = self.mount.open(stream).await?;
        let version = presentation.version();
        let (RecordingFile::TextPlaylist(name, _)
        | RecordingFile::WholeText(name, _)
        | RecordingFile::Text(name, _)) = file
        else {
            return Err(VodFault::NotFound);
        };
        let names = self.mount.text_names(stream, &presentation, name).await?;
        if let RecordingFile::TextPlaylist(_, trim) = *file {
            let what = format!("text {names:?} {trim:?} {version}");
            let make = move || Ok(StoredDocument::of(presentation.text_playlist(&names, trim)));
            return Ok(media_playlist(self.document(what, make).await?));
        }
        let captions = self.mount.captions(stream, &presentation, &names).await?;
        let what = format!("{file:?} {version} {}", captions.version);
        let file = file.clone();
        let make = move || {
            let text = match file {
                RecordingFile::Text(_, part) => captions.segment(part),
                RecordingFile::WholeText(_, trim) => presentation.whole_text(&captions.text, trim),
                _ => return Err(VodFault::NotFound),
            };
            Ok(StoredDocument::of(text))
        };
        let document = self.document(what, make).await?;
        let (content_type, cache_control) = (WEBVTT, TEN_SECONDS);
        Ok(FoundDocument { kind: AnswerKind::Segment, document, content_type, cache_control })
    }

    async fn chapters(self, stream: &RecordingStream) -> Answered {
        let presentation = self.mount.open(stream).await?;
        let document = if let Some(captions) = self.mount.chapters_beside(stream, &presentation).await? {
            let what = format!("chapters {}", captions.version);
            self.document(what, move || Ok(json(&captions.chapters()))).await?
        } else {
            let name = format!("{} chapters {}", self.mount.serial(), presentation.version());
            let make = async {
                let cues = self.mount.chapters_within(&presentation).instrument(self.span()).await?;
                self.mount.compute(move || Ok(json(&cues))).instrument(self.span()).await?
            };
            self.made.get(name, make).await?
        };
        Ok(list(document))
    }

    /// The picture at the key frame nearest to `?t=` seconds, `?width=` pixels wide.
    async fn poster(self, stream: &RecordingStream) -> Answered {
        let Self { request, mount, made } = self;
        if !mount.settings().poster {
            return Err(VodFault::NotFound);
        }
        let (ms, width) = (poster_ms(request), poster_width(request));
        let presentation: Presentation = mount.open(stream).await?;
        let size = |it: &&vod::Rendition| it.recording.movie.picture_size().map(|(width, _)| width);
        let best = presentation.renditions.iter().max_by_key(size).ok_or(VodFault::NotFound)?;
        let recording = std::sync::Arc::clone(&best.recording);
        let sync = recording.sync_near(ms).ok_or(VodFault::NotFound)?;
        let name = format!("{} poster {:?} {sync} {width}", mount.serial(), recording.names);
        let make = async {
            let bytes = mount.read_sample(&recording, sync).await?;
            let picture = move || {
                let access_unit = recording.access_unit(&bytes).ok_or(VodFault::NotFound)?;
                let picture = poster(&access_unit, width);
                picture.map(StoredDocument::of).map_err(|error| VodFault::Picture(error.to_string()))
            };
            mount.compute(picture).instrument(self.span()).await?
        };
        let document = made.get(name, make).await?;
        Ok(FoundDocument { kind: AnswerKind::Other, document, content_type: JPEG, cache_control: AN_HOUR })
    }

    /// The list of recordings; `?series=` limits it to one series.
    pub(super) async fn index(self) -> Answered {
        if !self.mount.settings().index {
            return Err(VodFault::NotFound);
        }
        let listing = self.mount.listing().await?;
        let series = series(self.request);
        let what = format!("index {} {series:?}", listing.look);
        let make = move || {
            let is_wanted = |listed: &&vod::Listed| series.is_none() || listed.series == series;
            let wanted: Vec<&vod::Listed> = listing.recordings.iter().filter(is_wanted).collect();
            Ok(json(&wanted))
        };
        Ok(list(self.document(what, make).await?))
    }
}

fn json(value: &impl serde::Serialize) -> StoredDocument {
    StoredDocument::of(serde_json::to_string(value).unwrap_or_default())
}

fn list(document: StoredDocument) -> FoundDocument {
    FoundDocument { kind: AnswerKind::Other, document, content_type: JSON, cache_control: TEN_SECONDS }
}

fn media_playlist(document: StoredDocument) -> FoundDocument {
    FoundDocument {
        kind: AnswerKind::MediaPlaylist,
        document,
        content_type: PLAYLIST,
        cache_control: TEN_SECONDS,
    }
}
