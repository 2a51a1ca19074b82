// Watches a stream in headless Chromium with one or several players at once, and prints what they saw as JSON.
//
//   node watch.mjs URL SECONDS PLAYER...        PLAYER: hls.js | flowplayer | native
//
// Time runs from the first picture. Prints "watching" on standard error when every player shows one.
import { start, pause } from "./chromium.mjs";

const [url, seconds, ...players] = process.argv.slice(2);
const { open, end } = await start();
const views = await Promise.all(players.map((player) => open(player, url)));
console.error("watching");
const until = Date.now() + seconds * 1000;
while (Date.now() < until) {
  await Promise.all(views.map((view) => view.look()));
  await pause(200);
}
const report = {};
for (const { player, page, samples, said } of views) {
  const seen = await page.evaluate(() => seen);
  report[player] = { ...seen, samples, said };
}
console.log(JSON.stringify(report));
await end();
