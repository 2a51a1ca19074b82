// Watches a stream in headless Chromium with one or several players at once, and prints what they saw as JSON.
//
//   node watch.mjs URL SECONDS PLAYER...        PLAYER: hls.js | flowplayer | native
//
// Time runs from the first picture. Prints "watching" on standard error when every player shows one.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const [url, seconds, ...players] = process.argv.slice(2);
const root = import.meta.dirname;
const kinds = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

const server = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, "http://localhost").pathname);
  try {
    const body = await readFile(join(root, path));
    response.writeHead(200, { "Content-Type": kinds[extname(path)] ?? "application/octet-stream" });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required", "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
  ],
});

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function open(player) {
  const context = await browser.newContext();
  // Nothing outside this machine is asked.
  await context.route((asked) => asked.hostname !== "127.0.0.1", (route) => route.abort());
  const page = await context.newPage();
  const said = [];
  page.on("pageerror", (error) => said.push(error.message));
  const query = new URLSearchParams({ player, url });
  await page.goto(`http://127.0.0.1:${server.address().port}/page.html?${query}`);
  const samples = [];
  const look = async () => {
    const sample = await page.evaluate(() => look());
    if (sample) samples.push(sample);
    return sample;
  };
  const patience = Date.now() + 40_000;
  while (!((await look())?.luma > 0) && Date.now() < patience) await pause(100);
  return { player, page, look, samples, said };
}

const views = await Promise.all(players.map(open));
console.error("watching");
const end = Date.now() + seconds * 1000;
while (Date.now() < end) {
  await Promise.all(views.map((view) => view.look()));
  await pause(200);
}
const report = {};
for (const { player, page, samples, said } of views) {
  const seen = await page.evaluate(() => seen);
  report[player] = { ...seen, samples, said };
}
console.log(JSON.stringify(report));
await browser.close();
server.close();
