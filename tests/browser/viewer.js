// Runs in the page: opens a stream with one player and writes down what a viewer would notice.
"use strict";

const seen = { errors: [], stalls: 0, levels: 0 };

function note(what, detail) {
  seen.errors.push({ at: Date.now(), what, detail: String(detail ?? "") });
}

function ownVideo() {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, crossOrigin: "anonymous", width: 640, height: 360 });
  document.getElementById("player").append(video);
  return video;
}

const players = {
  "hls.js"(url) {
    const video = ownVideo();
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, data) => note(data.fatal ? "fatal" : "error", data.details));
    hls.on(Hls.Events.MANIFEST_PARSED, (_, data) => { seen.levels = data.levels.length; });
    hls.loadSource(url);
    hls.attachMedia(video);
    video.play().catch((error) => note("play", error));
  },
  native(url) {
    const video = ownVideo();
    video.src = url;
    video.play().catch((error) => note("play", error));
  },
  async flowplayer(url) {
    const script = document.createElement("script");
    script.src = "/node_modules/flowplayer/dist/flowplayer.min.js";
    document.head.append(script);
    await new Promise((resolve) => { script.onload = resolve; });
    // The skin's fonts and the logo come from outside; nothing outside is reachable here, nor needed.
    const api = flowplayer(document.getElementById("player"), {
      live: true, autoplay: true, muted: true, share: false, embed: false, analytics: false,
      clip: { sources: [{ type: "application/x-mpegurl", src: url }] },
    });
    api.on("error", (_, __, error) => note("fatal", error?.message ?? error?.code));
  },
};

// One look: the player's time and what can be seen, averaged over 16x9 points.
function look() {
  const video = document.querySelector("video");
  if (!video) return null;
  if (!video.dataset.watched) {
    video.dataset.watched = "yes";
    video.addEventListener("error", () => note("video", video.error?.message));
    // `waiting` before the first picture is the start, not a stall.
    video.addEventListener("waiting", () => { if (video.currentTime > 0 && started) seen.stalls += 1; });
  }
  if (video.readyState >= 2 && video.currentTime > 0) started = true;
  let luma = null;
  if (video.readyState >= 2 && video.videoWidth > 0) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [16, 9];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0, 16, 9);
    const pixels = context.getImageData(0, 0, 16, 9).data;
    luma = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      luma += (0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2]) / 144;
    }
  }
  return { at: Date.now(), time: video.currentTime, luma, width: video.videoWidth, seeking: video.seeking };
}
let started = false;

const query = new URLSearchParams(location.search);
players[query.get("player")](query.get("url"));
