// Plays an HLS URL: with hls.js where the browser has Media Source Extensions, with the browser's own HLS elsewhere. It
// never gives up, because a channel always comes back.
import Hls from "./hls.light.min.mjs";

const WAIT_MS = [500, 1000, 2000, 4000];

// What the multivariant playlist offers besides pictures: sound alone, and subtitles.
export async function offered(url) {
  const none = { sound: null, subtitles: [] };
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) return { ...none, status: response?.status ?? 0 };
  const lines = (await response.text()).split("\n");
  const attribute = (line, name) => new RegExp(`[:,]${name}=(?:"([^"]*)"|([^,]*))`).exec(line)?.slice(1).find(Boolean);
  const absolute = (uri) => new URL(uri, response.url).href;
  const subtitles = lines.filter((line) => line.startsWith("#EXT-X-MEDIA:") && attribute(line, "TYPE") === "SUBTITLES")
    .map((line) => ({ name: attribute(line, "NAME"), language: attribute(line, "LANGUAGE") ?? "", url: absolute(attribute(line, "URI")) }));
  const variants = lines.flatMap((line, index) => (line.startsWith("#EXT-X-STREAM-INF") ? [{ line, uri: lines[index + 1] }] : []));
  const alone = variants.find(({ line }) => !line.includes("RESOLUTION="));
  // A recording's first sound track, by the name of its media playlist, or of its picture's where it has several sounds.
  const track = /^(chunklist_k[0-9a-f]{8}(?:_k[0-9a-f]{8})?)(?:_v)?((?:_t[0-9-]+)?\.m3u8.*)$/.exec(variants[0]?.uri ?? "");
  const isHeard = variants.length > 0 && /mp4a|opus|flac/i.test(attribute(variants[0].line, "CODECS") ?? "");
  const sound = alone ? absolute(alone.uri) : track && isHeard ? absolute(`${track[1]}_a0${track[2]}`) : null;
  return { sound, subtitles, status: 200 };
}

// The cues of subtitles, from every segment of their playlist, in order.
export async function cues(url) {
  const list = await (await fetch(url)).text();
  const parts = list.split("\n").filter((line) => line && !line.startsWith("#"));
  const seen = new Set();
  const all = [];
  for (const part of parts) {
    const text = await (await fetch(new URL(part, url))).text();
    for (const block of text.split("\n\n")) {
      // An identifier may stand before the times.
      const found = /^(?:[^\n]*\n)?([\d:.]+) --> ([\d:.]+)(.*)\n([^]*)$/.exec(block);
      // A cue that spans two segments is in both.
      if (!found || seen.has(block)) continue;
      seen.add(block);
      all.push({ start: seconds(found[1]), end: seconds(found[2]), settings: found[3], text: found[4].trim() });
    }
  }
  return all;
}

// A cue for a text track, at the place that its settings say.
export function shown({ start, end, settings, text }) {
  const cue = new VTTCue(start, end, text);
  const line = /\bline:(-?[\d.]+)(%?)/.exec(settings);
  if (line) [cue.snapToLines, cue.line] = [!line[2], Number(line[1])];
  const align = /\balign:(start|center|end|left|right)\b/.exec(settings);
  if (align) cue.align = align[1];
  return cue;
}

const seconds = (clock) => clock.split(":").reduce((sum, field) => sum * 60 + Number(field), 0);

// `changed` is called when the levels, the level that plays, or the state of the stream change.
export class Player {
  constructor(video, changed) {
    this.video = video;
    this.changed = changed;
    this.trouble = false;
    this.lost = null; // the status by which the server has said that there is no right to it any more
    this.failures = 0;
    this.native = !Hls.isSupported();
    video.addEventListener("error", () => this.native && this.again());
    video.addEventListener("playing", () => this.well());
  }

  // Qualities as [{ index, height, bitrate }], best first.
  get levels() {
    const levels = (this.hls?.levels ?? []).map(({ height, bitrate }, index) => ({ index, height, bitrate }));
    return levels.filter(({ height }) => height).sort((a, b) => b.height - a.height);
  }

  get level() { return this.hls?.autoLevelEnabled ? -1 : this.hls?.currentLevel ?? -1; }
  set level(index) { if (this.hls) this.hls.nextLevel = index; }

  get shownHeight() { return this.hls?.levels?.[this.hls.currentLevel]?.height ?? this.video.videoHeight; }

  load(url, start = -1) {
    this.url = url;
    this.hls?.destroy();
    this.hls = null;
    if (this.native) {
      this.video.src = url;
      if (start > 0) this.video.currentTime = start;
      return;
    }
    // A worker would only copy segments: they are fragmented MP4 already.
    const hls = new Hls({ enableWorker: false, startPosition: start, backBufferLength: 60, capLevelToPlayerSize: true, ignoreDevicePixelRatio: false });
    this.hls = hls;
    hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) this.again(data); });
    for (const event of [Hls.Events.MANIFEST_PARSED, Hls.Events.LEVEL_SWITCHED, Hls.Events.LEVEL_UPDATED]) {
      hls.on(event, () => this.changed());
    }
    hls.on(Hls.Events.FRAG_BUFFERED, () => this.well());
    hls.loadSource(url);
    hls.attachMedia(this.video);
  }

  well() {
    this.failures = 0;
    if (this.trouble) {
      this.trouble = false;
      this.changed();
    }
  }

  again(data) {
    if (!this.trouble) {
      this.trouble = true;
      this.changed();
    }
    const wait = WAIT_MS[Math.min(this.failures, WAIT_MS.length - 1)];
    this.failures += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      // A right that has ended does not come back by itself.
      const { status } = await offered(this.url);
      if ([401, 403, 410].includes(status)) {
        this.lost = status;
        this.hls?.destroy();
        this.hls = null;
        return this.changed();
      }
      if (this.hls && data?.type === Hls.ErrorTypes.MEDIA_ERROR && this.failures < 3) this.hls.recoverMediaError();
      else this.load(this.url, Number.isFinite(this.video.duration) ? this.video.currentTime : -1);
      this.video.play().catch(() => {});
    }, wait);
  }

  // The live edge, in the video's time.
  get edge() {
    const { seekable } = this.video;
    return this.hls?.liveSyncPosition ?? (seekable.length ? seekable.end(seekable.length - 1) - 6 : null);
  }
}
