//! Subtitles and chapters of a mount: finds them, reads them once, and keeps them for those who watch.

use std::sync::Arc;

use tracing::{Instrument, info_span, warn};

use super::files::{CAPTIONS_MAX, composed, is_caption, read_captions, sidecars};
use super::{Mount, RecordingStream, Stamp};
use crate::captions::{Captions, ListedText, NamedText, TextSource, names_of, text_candidates, track_place};
use crate::fault::VodFault;
use crate::names::{FileNames, TextName, digest};
use crate::presentation::{Presentation, Rendition};
use crate::recording::Recording;
use crate::report::RecordingReport;
use crate::smil::TextStream;
use amphi_container::mp4::chapters_of;
use amphi_container::webvtt::{Cue, LostCue, TimedText};

/// Stands in place of a language in the name of a file of chapters.
const CHAPTERS: &str = "chapters";
/// How many pieces of a text track are read at once.
const PIECES: usize = 500;
/// How many cues that cannot be read are named in the log.
const NAMED_MAX: usize = 5;

impl Mount {
    /// Subtitles of a presentation: those that its SMIL file names, then `<file>.<language>.vtt`, `.srt`, `.ttml` or `.dfxp`
    /// beside its files, then the text tracks within them. Files have been read: those that are missing or hold no
    /// subtitles are left out.
    pub async fn texts(
        &self,
        stream: &RecordingStream,
        presentation: &Presentation,
    ) -> Result<Vec<ListedText>, VodFault> {
        let mut listed: Vec<ListedText> = Vec::new();
        for text in self.named_texts(stream, presentation).await? {
            let is_there = |listed: &ListedText| listed.language == text.language;
            if text.is_beside && listed.iter().any(is_there) {
                continue;
            }
            let names = match &text.source {
                TextSource::Track(recording, track) => track_names(recording, *track),
                TextSource::File(paths) => match self.usable(stream, paths).await? {
                    Some((names, read)) => {
                        self.kept.keep(stream, &names, &read).await;
                        Some(names)
                    }
                    None => None,
                },
            };
            let NamedText { language, name, .. } = text;
            listed.extend(names.map(|names| ListedText { language, name, names }));
        }
        Ok(listed)
    }

    /// The names that subtitles have at present, however they were asked for.
    pub async fn text_names(
        &self,
        stream: &RecordingStream,
        presentation: &Presentation,
        name: &TextName,
    ) -> Result<FileNames, VodFault> {
        let number = match name {
            TextName::Names(names) => return Ok(names.clone()),
            TextName::Number(number) => *number,
        };
        let listed = self.texts(stream, presentation).await?;
        let key = if let Some(key) = self.kept.of_number(stream, number).await {
            key
        } else {
            let named = self.named_texts(stream, presentation).await?;
            let key = only_file(&named, &listed).filter(|_| number == 0).ok_or(VodFault::NotFound)?;
            self.kept.number(stream, number, &key).await;
            key
        };
        let names = listed.into_iter().map(|text| text.names).find(|names| names.key == key);
        Ok(names.unwrap_or(FileNames { key, tag: digest("gone") }))
    }

    /// The cues of subtitles by the names of [`Self::text_names`]: those that the names meant, or else those that are there at
    /// present, or else none. Each file is read once for each of its versions, however many ask.
    pub async fn captions(
        &self,
        stream: &RecordingStream,
        presentation: &Presentation,
        names: &FileNames,
    ) -> Result<Captions, VodFault> {
        if let Some(captions) = self.kept.get(stream, names).await {
            return Ok(captions);
        }
        for text in self.named_texts(stream, presentation).await? {
            let found = match &text.source {
                TextSource::File(paths) if paths.iter().any(|path| digest(path) == names.key) => {
                    self.usable(stream, paths).await?.filter(|(present, _)| present.key == names.key)
                }
                TextSource::Track(recording, track) => match track_names(recording, *track) {
                    Some(present) if present.key == names.key => {
                        Some((present, self.track_text(recording, *track).await?))
                    }
                    _ => None,
                },
                TextSource::File(_) => None,
            };
            if let Some((present, text)) = found {
                self.kept.keep(stream, &present, &text).await;
                return Ok(Captions { text, version: format!("{} {}", present.key, present.tag) });
            }
        }
        Ok(Captions::none())
    }

    /// What a presentation names, in the order in which it is listed.
    async fn named_texts(
        &self,
        stream: &RecordingStream,
        presentation: &Presentation,
    ) -> Result<Vec<NamedText>, VodFault> {
        let mut named = Vec::new();
        for text in presentation.smil.iter().flat_map(|smil| &smil.texts) {
            let source = TextSource::File(text_candidates(stream.path(), &text.path).collect());
            named.push(NamedText { language: text.language.clone(), name: None, source, is_beside: false });
        }
        for rendition in &presentation.renditions {
            for TextStream { path, language } in self.beside_file(&rendition.recording.path).await?.iter() {
                if language != CHAPTERS {
                    let source = TextSource::File(vec![path.clone()]);
                    named.push(NamedText { language: language.clone(), name: None, source, is_beside: true });
                }
            }
        }
        // Every rendition of a lecture has the same ones.
        let mut recordings = presentation.renditions.iter().map(|rendition| &rendition.recording);
        if let Some(recording) = recordings.find(|recording| !recording.movie.texts.is_empty()) {
            named.extend(recording.movie.texts.iter().enumerate().map(|(index, track)| NamedText {
                language: track.language.clone(),
                name: track.name.clone(),
                source: TextSource::Track(Arc::clone(recording), index),
                is_beside: false,
            }));
        }
        Ok(named)
    }

    /// The text at the first of these paths that is there, with its names; `None`, and a line in the log, if it cannot be used.
    async fn usable(
        &self,
        stream: &RecordingStream,
        paths: &[String],
    ) -> Result<Option<(FileNames, Arc<TimedText>)>, VodFault> {
        let first = paths.first().map_or("", |path| path);
        let missing = format!("missing {} {first}", stream.path());
        let Some((path, stamp)) = self.first_of(paths).await? else {
            if self.kept.is_new(missing).await {
                let stream = stream.path();
                warn!(stream, file = first, "subtitles are left out: the file is not there");
            }
            return Ok(None);
        };
        self.kept.forget(&missing).await;
        let why = match self.file_text(&path, stamp).await {
            Ok(text) if text.is_known => {
                return Ok(Some((names_of(&path, &self.state_of(stamp)), text)));
            }
            Ok(text) => text.lost.first().map_or("it holds no subtitles".to_owned(), LostCue::to_string),
            Err(fault) if fault.is_transient() => return Err(fault),
            Err(fault) => fault.to_string(),
        };
        if self.kept.is_new(format!("unusable {path} {stamp:?}")).await {
            warn!(file = path, why, "subtitles are left out: the file is not read");
        }
        let known = composed(&path);
        self.reports.lock().note(&known, stamp, Some(RecordingReport::of_unusable_text(&known, why)));
        Ok(None)
    }

    /// The first of these paths that is there, and the file's state.
    async fn first_of(&self, paths: &[String]) -> Result<Option<(String, Stamp)>, VodFault> {
        for path in paths {
            match self.stamp(path).await {
                Ok(stamp) => return Ok(Some((path.clone(), stamp))),
                Err(fault) if fault.is_transient() => return Err(fault),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// What of a file and of the settings decides how it is read.
    fn state_of(&self, stamp: Stamp) -> String {
        format!("{stamp:?} {}", self.settings.text_encoding.name())
    }

    /// The text of a file; read once for each of its versions, however many ask.
    async fn file_text(&self, path: &str, stamp: Stamp) -> Result<Arc<TimedText>, VodFault> {
        let read = async {
            let (owned, settings) = (path.to_owned(), Arc::clone(&self.settings));
            let bytes = self.on_thread(move || read_captions(&settings, &owned)).await?;
            let encoding = self.settings.text_encoding;
            let name = path.to_owned();
            self.work(move || Ok(Arc::new(TimedText::of_file(&name, &bytes, encoding)))).await
        };
        let span = info_span!("subtitles", name = %path);
        let text = self.cues.try_get_with((path.to_owned(), stamp), read).instrument(span).await;
        let text = text.map_err(|fault| VodFault::clone(&fault))?;
        let lost = self.say_lost(path, stamp, &text, stamp.len > CAPTIONS_MAX).await;
        let known = composed(path);
        self.reports.lock().note(&known, stamp, RecordingReport::of_text(&known, lost));
        Ok(text)
    }

    /// The text of a track; the same.
    async fn track_text(&self, recording: &Arc<Recording>, track: usize) -> Result<Arc<TimedText>, VodFault> {
        let found = recording.movie.texts.get(track).ok_or(VodFault::Gone)?;
        let place = track_place(&recording.path, found.id);
        let read = async {
            let mut bytes = Vec::new();
            for pieces in found.extents().chunks(PIECES) {
                bytes.extend_from_slice(&self.read_part(recording, pieces.to_vec()).await?);
            }
            let owned = Arc::clone(recording);
            let read = move || owned.movie.texts.get(track).map(|track| track.read_samples(&bytes));
            let text = self.compute(read).await?.map(Arc::new).ok_or(VodFault::Gone)?;
            self.say_lost(&place, recording.stamp, &text, false).await;
            Ok(text)
        };
        let text = self.cues.try_get_with((place.clone(), recording.stamp), read).await;
        text.map_err(|fault: Arc<VodFault>| VodFault::clone(&fault))
    }

    /// Looks again at a file of subtitles of which something is said.
    pub(super) async fn look_at_text(&self, path: &str) {
        let Ok(stamp) = self.stamp(path).await else { return };
        let is_as_it_was = self.reports.lock().stamp_of(path).is_none_or(|of| of == stamp);
        // What is to be said of it now is said to those who read it, if a SMIL file still names it.
        let is_named = is_caption(path)
            || self
                .list()
                .await
                .is_ok_and(|listed| listed.iter().any(|it| it.files.iter().any(|it| it == path)));
        if !is_as_it_was || !is_named {
            self.reports.lock().forget(path);
        }
    }

    /// Says what of a text cannot be read, once for each of its versions, and returns it.
    async fn say_lost(&self, path: &str, stamp: Stamp, text: &TimedText, is_cut: bool) -> Vec<String> {
        let mut said: Vec<String> = text.lost.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        if text.lost.len() > said.len() {
            said.push("and more".to_owned());
        }
        if is_cut {
            said.push(format!("what is beyond {CAPTIONS_MAX} bytes is not read"));
        }
        if !said.is_empty() && self.kept.is_new(format!("lost {path} {stamp:?}")).await {
            let lost = said.join("; ");
            warn!(file = path, lost, "some of these subtitles cannot be read, and are left out");
        }
        said
    }

    /// The chapters in a file beside the presentation's: `<file>.chapters.vtt` or the like.
    pub async fn chapters_beside(
        &self,
        stream: &RecordingStream,
        presentation: &Presentation,
    ) -> Result<Option<Captions>, VodFault> {
        for rendition in &presentation.renditions {
            let found = self.beside_file(&rendition.recording.path).await?;
            for chapters in found.iter().filter(|text| text.language == CHAPTERS) {
                let paths = [chapters.path.clone()];
                if let Some((FileNames { key, tag }, text)) = self.usable(stream, &paths).await? {
                    return Ok(Some(Captions { text, version: format!("{key} {tag}") }));
                }
            }
        }
        Ok(None)
    }

    /// The chapters within the files of a presentation: those of a track, or else of a list; empty if there are none.
    pub async fn chapters_within(&self, presentation: &Presentation) -> Result<Vec<Cue>, VodFault> {
        for Rendition { recording, .. } in &presentation.renditions {
            let Some(chapters) = &recording.movie.chapters else { continue };
            let titles = self.read_part(recording, chapters.extents()).await?;
            let recording = Arc::clone(recording);
            let cues = move || recording.movie.chapters.as_ref().map(|track| chapters_of(track, &titles));
            let cues = self.compute(cues).await?.unwrap_or_default();
            if !cues.is_empty() {
                return Ok(cues);
            }
        }
        let mut movies = presentation.renditions.iter().map(|rendition| &rendition.recording.movie);
        let listed = movies.find(|movie| !movie.listed_chapters.is_empty());
        Ok(listed.map(|movie| movie.listed_chapters.clone()).unwrap_or_default())
    }

    /// Subtitles and chapters in files beside the one at `path`.
    async fn beside_file(&self, path: &str) -> Result<Arc<Vec<TextStream>>, VodFault> {
        let look = async {
            let (owned, settings) = (path.to_owned(), Arc::clone(&self.settings));
            self.on_thread(move || sidecars(&settings, &owned)).await.map(Arc::new)
        };
        self.sidecars.try_get_with(path.to_owned(), look).await.map_err(|fault| VodFault::clone(&fault))
    }
}

/// The key of the only file of subtitles, that is, of the only language of which there is one. With several of them it cannot be
/// told which one a number meant.
fn only_file(named: &[NamedText], listed: &[ListedText]) -> Option<String> {
    let mut files = named.iter().filter_map(|text| match &text.source {
        TextSource::File(paths) => Some((text, paths)),
        TextSource::Track(..) => None,
    });
    let (first, paths) = files.next()?;
    let mut keys: Vec<String> = paths.iter().map(|path| digest(path)).collect();
    for (other, paths) in files {
        if !other.is_beside || other.language != first.language {
            return None;
        }
        keys.extend(paths.iter().map(|path| digest(path)));
    }
    let used = listed.iter().find(|text| keys.contains(&text.names.key));
    used.map(|text| text.names.key.clone()).or(keys.into_iter().next())
}

/// Key and tag of a text track.
fn track_names(recording: &Recording, track: usize) -> Option<FileNames> {
    let track = recording.movie.texts.get(track)?;
    Some(names_of(&track_place(&recording.path, track.id), &recording.names.tag))
}
