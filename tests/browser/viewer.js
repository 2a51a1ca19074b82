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

async function script(path) {
  const element = document.createElement("script");
  element.src = `/node_modules/${path}`;
  document.head.append(element);
  await new Promise((resolve) => { element.onload = resolve; });
}

// Chooses the rendition by hand: a function of 0 for the worst and 1 for the best. Returns its width.
let choose = null;
// Switches subtitles on in the player, where it wants to be told.
let enableText = () => {};

// Switches subtitles on, as the browser's own menu does.
function showCaptions() {
  enableText();
  for (const track of document.querySelector("video").textTracks) track.mode = "showing";
}

// What subtitles are shown now, one string per cue.
const captions = () => [...document.querySelector("video").textTracks]
  .flatMap((track) => [...(track.activeCues ?? [])].map((cue) => cue.text));

const players = {
  "hls.js"(url) {
    const video = ownVideo();
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, data) => note(data.fatal ? "fatal" : "error", data.details));
    hls.on(Hls.Events.MANIFEST_PARSED, (_, data) => { seen.levels = data.levels.length; });
    choose = (level) => {
      const index = level === 0 ? 0 : hls.levels.length - 1;
      hls.currentLevel = index;
      return hls.levels[index].width;
    };
    hls.loadSource(url);
    hls.attachMedia(video);
    video.play().catch((error) => note("play", error));
  },
  native(url) {
    const video = ownVideo();
    video.src = url;
    video.play().catch((error) => note("play", error));
  },
  async "dash.js"(url) {
    await script("dashjs/dist/modern/umd/dash.all.min.js");
    const player = dashjs.MediaPlayer().create();
    player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => note("fatal", error?.message));
    player.initialize(ownVideo(), url, true);
    enableText = () => { player.enableText(true); player.setTextTrack(0); };
    choose = (level) => {
      const all = player.getRepresentationsByType("video");
      player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } });
      const chosen = all.at(level === 0 ? 0 : -1);
      player.setRepresentationForTypeById("video", chosen.id, true);
      return chosen.width;
    };
  },
  async shaka(url) {
    await script("shaka-player/dist/shaka-player.compiled.js");
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    const video = ownVideo();
    await player.attach(video);
    player.addEventListener("error", ({ detail }) => note("fatal", `${detail.code} ${detail.data}`));
    enableText = () => {
      player.selectTextTrack(player.getTextTracks()[0]);
      player.setTextTrackVisibility?.(true);
    };
    await player.load(url).catch((error) => note("load", `${error.code} ${error.data}`));
    choose = (level) => {
      const all = player.getVariantTracks().sort((a, b) => a.width - b.width);
      const chosen = all.at(level === 0 ? 0 : -1);
      player.configure({ abr: { enabled: false } });
      player.selectVariantTrack(chosen, true);
      return chosen.width;
    };
    video.play().catch((error) => note("play", error));
  },
  async flowplayer(url) {
    await script("flowplayer/dist/flowplayer.min.js");
    // The skin's fonts and the logo come from outside; nothing outside is reachable here, nor needed.
    const api = flowplayer(document.getElementById("player"), {
      live: !query.get("recorded"), autoplay: true, muted: true, share: false, embed: false, analytics: false,
      clip: { sources: [{ type: "application/x-mpegurl", src: url }] },
    });
    choose = (level) => {
      const all = api.video.qualities.filter(({ value }) => value >= 0);
      const { value, label } = all.at(level === 0 ? 0 : -1);
      api.quality(value);
      // It shows the shorter side: "360p (500k)".
      return parseInt(label, 10) * 16 / 9;
    };
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

function seek(seconds) {
  const video = document.querySelector("video");
  video.currentTime = seconds;
  video.play().catch((error) => note("play", error));
}

const query = new URLSearchParams(location.search);
// Without a player, the page waits for a script to begin.
if (query.get("player")) players[query.get("player")](query.get("url"));
