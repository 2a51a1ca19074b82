// What a viewer waits for, in headless Chromium: one JSON object for each line of standard input, which is a job.
//
//   {"do": "click", "player": "hls.js", "url": "…"}
//       {"ms": …}: from a click to the first picture
//   {"do": "watch", "player": "hls.js", "url": "…", "settle": 5, "seconds": 10}
//       {"watching": true} that long after the first picture; then {"clocks": [[when, ten blocks], …], "said": […]}: the clocks
//       of the pictures that were shown
//
// The page and its scripts are loaded before the click: what is measured is the player and the server.
import { createInterface } from "node:readline";
import { start, pause } from "../tests/browser/chromium.mjs";

const { blank, open, end } = await start();

const inPage = {
  click: async ([player, url]) => {
    const begun = performance.now();
    await players[player](url);
    const video = document.querySelector("video");
    return new Promise((resolve) => {
      // When the picture is handed to the screen (HTMLVideoElement.requestVideoFrameCallback).
      video.requestVideoFrameCallback((now) => resolve(now - begun));
      setTimeout(() => resolve(null), 30_000);
    });
  },
  glass: ([seconds]) => {
    const video = document.querySelector("video");
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [10, 1];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    window.clocks = [];
    window.watching = true;
    const seen = (now, { expectedDisplayTime }) => {
      const at = performance.timeOrigin + (expectedDisplayTime ?? now);
      const [w, h] = [video.videoWidth, video.videoHeight];
      // Of each of the ten blocks the middle, so that no edge is blurred into it.
      for (let bit = 0; bit < 10; bit += 1) {
        context.drawImage(video, (bit + 0.3) * w / 40, h / 72, 0.4 * w / 40, h / 60, bit, 0, 1, 1);
      }
      const pixels = context.getImageData(0, 0, 10, 1).data;
      window.clocks.push([at / 1000, Array.from({ length: 10 }, (_, bit) => pixels[4 * bit + 1])]);
      if (window.watching) video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
    return new Promise((resolve) => setTimeout(() => { window.watching = false; resolve(window.clocks); }, seconds * 1000));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  let told = {};
  if (job.do === "click") {
    // A page with a cache of its own, which has loaded its scripts and shows nothing yet.
    const { page } = await blank();
    told = { ms: await page.evaluate(inPage.click, [job.player, job.url]) };
    await page.context().close();
  } else if (job.do === "watch") {
    const kept = await open(job.player, job.url);
    await pause((job.settle ?? 0) * 1000);
    console.log(JSON.stringify({ watching: true }));
    told = { clocks: await kept.page.evaluate(inPage.glass, [job.seconds]), said: kept.said };
    await kept.page.context().close();
  }
  console.log(JSON.stringify(told));
}
await end();
