// Plays recordings in headless Chromium: each begins, goes on from three places, and ends. Reads jobs as JSON from standard
// input, [{ name, player, url, sound }], and prints a line of JSON for each.
//
//   node odd.mjs WORKERS < jobs.json
import { readFileSync } from "node:fs";
import { start, pause } from "./chromium.mjs";

const jobs = JSON.parse(readFileSync(0, "utf8"));
const { open, end } = await start();

const state = (view) => view.page.evaluate(() => {
  const video = document.querySelector("video");
  if (!video) return null;
  return { time: video.currentTime, duration: video.duration, ended: video.ended, seeking: video.seeking, ready: video.readyState,
    pictures: video.getVideoPlaybackQuality().totalVideoFrames, sound: video.webkitAudioDecodedByteCount };
});

async function until(view, wanted, ms) {
  const patience = Date.now() + ms;
  for (;;) {
    const seen = await state(view);
    if (seen && wanted(seen)) return seen;
    if (Date.now() > patience) return { ...seen, stuck: true };
    await pause(100);
  }
}

async function play({ name, player, url, sound }) {
  const wrong = [];
  const view = await open(player, url, { recorded: "yes", ...(sound ? { sound: "yes" } : {}) });
  const first = await until(view, (it) => it.time > 0.2 && Number.isFinite(it.duration), 8000);
  if (first.stuck) wrong.push(`does not begin (at ${first.time} s of ${first.duration})`);
  const { duration } = first;
  if (!first.stuck) {
    for (const part of [0.6, 0.2, 0.4]) {
      const place = duration * part;
      await view.page.evaluate((seconds) => seek(seconds), place);
      const seen = await until(view, (it) => !it.seeking && it.time >= place + 0.4 && it.time < place + 10, 10_000);
      if (seen.stuck) wrong.push(`stands at ${seen.time?.toFixed(2)} s after a seek to ${place.toFixed(2)} s`);
    }
    const playsToTheEnd = async () => {
      await view.page.evaluate((seconds) => seek(seconds), Math.max(duration - 1, 0));
      return until(view, (it) => it.ended, 10_000);
    };
    let last = await playsToTheEnd();
    // On a busy machine dash.js now and then shows the last picture and does not notice that it has all segments, of any recording.
    if (last.stuck && last.time > duration - 0.05) last = await playsToTheEnd();
    if (last.stuck) wrong.push(`does not end: at ${last.time?.toFixed(2)} of ${duration.toFixed(2)} s`);
  }
  const seen = await view.page.evaluate(() => seen);
  const last = await state(view);
  wrong.push(...seen.errors.filter(({ what }) => what !== "error").map(({ what, detail }) => `${what} ${detail}`.slice(0, 150)));
  wrong.push(...view.said.map((text) => text.slice(0, 100)));
  await view.page.context().close();
  return { name, player, wrong, duration, pictures: last?.pictures, sound: last?.sound };
}

async function work() {
  for (let job = jobs.shift(); job; job = jobs.shift()) {
    try {
      console.log(JSON.stringify(await play(job)));
    } catch (error) {
      console.log(JSON.stringify({ name: job.name, player: job.player, wrong: [`the script fails: ${error.message.slice(0, 200)}`] }));
    }
  }
}

await Promise.all(Array.from({ length: Number(process.argv[2] ?? 2) }, work));
await end();
