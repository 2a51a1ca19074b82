// Writes an mp4 file with npm's mp4box: node mp4box.mjs fragments|written|made FROM TO
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";

const { createFile, DataStream } = createRequire(import.meta.url)("mp4box");
const [mode, from, to] = process.argv.slice(2);

// The whole file, as mp4box takes it.
function source() {
  const bytes = readFileSync(from);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  buffer.fileStart = 0;
  return buffer;
}

const file = createFile(true);
let ready = null;
file.onError = (error) => { throw new Error(error); };
file.onReady = (info) => { ready = info; };
const parts = [];
const all = new Map();
file.onSegment = (id, user, buffer) => parts.push(Buffer.from(buffer));
file.onSamples = (id, user, samples) => all.set(id, [...(all.get(id) ?? []), ...samples]);
file.appendBuffer(source(), true);
if (!ready) throw new Error(`${from}: no moov`);

if (mode === "fragments") {
  for (const track of ready.tracks) file.setSegmentOptions(track.id, null, { nbSamples: 25 });
  const init = file.initializeSegmentation();
  parts.unshift(Buffer.from(Array.isArray(init) ? init[0].buffer : init.buffer));
  file.start();
  file.flush();
  writeFileSync(to, Buffer.concat(parts));
} else if (mode === "written") {
  const stream = file.getBuffer();
  writeFileSync(to, Buffer.from(stream.buffer ?? stream));
} else {
  for (const track of ready.tracks) file.setExtractionOptions(track.id, null, { nbSamples: 100000 });
  file.start();
  file.flush();
  const made = createFile();
  for (const track of ready.tracks) {
    const trak = file.getTrackById(track.id);
    const entry = trak.mdia.minf.stbl.stsd.entries[0];
    const boxes = entry.boxes ?? [];
    const id = made.addTrack({
      id: track.id, type: entry.type, timescale: track.timescale, width: track.video?.width, height: track.video?.height,
      channel_count: track.audio?.channel_count, samplerate: track.audio?.sample_rate, samplesize: 16,
      hdlr: track.type === "audio" ? "soun" : "vide", description_boxes: boxes, language: "und", duration: 0, media_duration: 0,
    });
    for (const sample of all.get(track.id)) {
      made.addSample(id, sample.data, { duration: sample.duration, dts: sample.dts, cts: sample.cts, is_sync: sample.is_sync });
    }
  }
  const stream = made.getBuffer();
  writeFileSync(to, Buffer.from(stream.buffer ?? stream));
}
