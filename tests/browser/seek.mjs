// Opens a recording in headless Chromium, seeks, changes the rendition by hand, and prints what was seen as JSON.
//
//   node seek.mjs URL PLAYER SECONDS...        PLAYER as in watch.mjs, and dash.js | shaka
import { start, pause } from "./chromium.mjs";

const [url, player, ...places] = process.argv.slice(2);
const { open, end } = await start();
const view = await open(player, url, { recorded: "yes" });
const report = { player, places: [], widths: [], captions: [] };

// Plays on for a second at least from where it was put.
async function plays(from) {
  const patience = Date.now() + 15_000;
  for (;;) {
    const sample = await view.look();
    if (sample && !sample.seeking && sample.luma > 20 && sample.time >= from + 1 && sample.time < from + 12) return sample;
    if (Date.now() > patience) return { ...sample, stuck: true };
    await pause(100);
  }
}

// Subtitles first: over HLS shaka keeps cues back until a segment of pictures that comes after the switch tells it their
// offset (TextEngine.appendBuffer, deferredAppends). Of a recording this short all pictures are there by then.
await view.page.evaluate(() => showCaptions());
for (let look = 0; look < 100 && report.captions.length === 0; look += 1) {
  // Their file comes when it comes: until then, play the same seconds again.
  if (look % 25 === 0) await view.page.evaluate(() => seek(1.2));
  await pause(200);
  report.captions = await view.page.evaluate(() => captions());
}
for (const place of places.map(Number)) {
  await view.page.evaluate((seconds) => seek(seconds), place);
  report.places.push({ asked: place, ...(await plays(place)) });
}
if (await view.page.evaluate(() => choose !== null)) {
  for (const level of [0, 1]) {
    const wanted = await view.page.evaluate((level) => choose(level), level);
    const patience = Date.now() + 15_000;
    while (Date.now() < patience && (await view.look())?.width !== wanted) await pause(100);
    const { width } = await view.look();
    await view.page.evaluate(() => seek(2));
    // flowplayer changes at the next segment and keeps what it has.
    const after = (await plays(2)).width;
    report.widths.push(player === "flowplayer" ? width : after);
  }
}
Object.assign(report, await view.page.evaluate(() => seen), { said: view.said });
console.log(JSON.stringify(report));
await end();
