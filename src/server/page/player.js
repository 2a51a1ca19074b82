// A small HLS player for fragmented MP4: the browser's own HLS where there is no MSE, else MSE. It never gives up.

const BEHIND = 3; // segments from the live edge
const KEEP_S = 30; // seconds of buffer behind the playhead
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export function play(video, url) {
  if (!("MediaSource" in window)) {
    video.src = url;
    video.play();
    return;
  }
  run(video, url);
}

async function run(video, url) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 5000)) {
    try {
      await session(video, url);
    } catch (error) {
      console.info("player starts again:", error.message);
    }
    await sleep(wait);
  }
}

async function text(url) {
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.text();
}

async function bytes(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.arrayBuffer();
}

// The first variant with a picture: [codecs, URL].
async function variant(url) {
  const lines = (await text(url)).split("\n");
  const at = lines.findIndex((line) => line.startsWith("#EXT-X-STREAM-INF") && line.includes("RESOLUTION"));
  if (at < 0) throw new Error("no variant with a picture");
  return [/CODECS="([^"]+)"/.exec(lines[at])[1], new URL(lines[at + 1], url).href];
}

function parse(playlist, url) {
  const first = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(playlist)[1]);
  const target = Number(/#EXT-X-TARGETDURATION:(\d+)/.exec(playlist)[1]);
  const init = new URL(/#EXT-X-MAP:URI="([^"]+)"/.exec(playlist)[1], url).href;
  const names = playlist.split("\n").filter((line) => line && !line.startsWith("#"));
  return { target, init, segments: names.map((name, index) => ({ k: first + index, url: new URL(name, url).href })) };
}

async function session(video, url) {
  const [codecs, media] = await variant(url);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((open) => source.addEventListener("sourceopen", open, { once: true }));
  const buffer = source.addSourceBuffer(`video/mp4; codecs="${codecs}"`);
  const append = async (data) => {
    const done = new Promise((resolve, reject) => {
      buffer.addEventListener("updateend", resolve, { once: true });
      buffer.addEventListener("error", () => reject(new Error("append")), { once: true });
    });
    buffer.appendBuffer(data);
    await done;
  };
  let next = null;
  for (;;) {
    const { target, init, segments } = parse(await text(media), media);
    if (next === null) {
      next = segments.at(-Math.min(BEHIND, segments.length)).k;
      await append(await bytes(init));
    }
    next = Math.max(next, segments[0].k);
    for (const segment of segments.filter((segment) => segment.k >= next)) {
      await append(await bytes(segment.url));
      next = segment.k + 1;
      catchUp(video);
    }
    if (buffer.buffered.length && video.currentTime - buffer.buffered.start(0) > 2 * KEEP_S && !buffer.updating) {
      buffer.remove(0, video.currentTime - KEEP_S);
      await new Promise((resolve) => buffer.addEventListener("updateend", resolve, { once: true }));
    }
    await sleep(target * 500);
  }
}

// Starts at the first buffered picture, and jumps over holes.
function catchUp(video) {
  const ranges = video.buffered;
  if (!ranges.length) return;
  const last = ranges.length - 1;
  const inside = video.currentTime >= ranges.start(last) && video.currentTime <= ranges.end(last);
  if (!inside) video.currentTime = ranges.start(last) + 0.01;
  if (video.paused) video.play().catch(() => {});
}
