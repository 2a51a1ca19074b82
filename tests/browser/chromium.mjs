// Headless Chromium and a web server for the page: what all scripts begin with.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Node 18, which Debian 12 has, knows no import.meta.dirname.
export const root = dirname(fileURLToPath(import.meta.url));
const kinds = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required", "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
  ],
});

// Starts both; `blank` loads the page without a player, `open` shows a stream in a player and returns when it shows a picture, or plays where there is only sound.
export async function start() {
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

  const browser = await launch();

  async function blank(query = "") {
    const context = await browser.newContext();
    // Nothing outside this machine is asked.
    await context.route((asked) => asked.hostname !== "127.0.0.1", (route) => route.abort());
    const page = await context.newPage();
    const said = [];
    page.on("pageerror", (error) => said.push(error.message));
    await page.goto(`http://127.0.0.1:${server.address().port}/page.html?${query}`);
    return { page, said };
  }

  async function open(player, url, more = {}) {
    const { page, said } = await blank(new URLSearchParams({ player, url, ...more }));
    const samples = [];
    const look = async () => {
      const sample = await page.evaluate(() => look());
      if (sample) samples.push(sample);
      return sample;
    };
    const patience = Date.now() + 40_000;
    const begun = (sample) => (more.sound ? sample?.time : sample?.luma) > 0;
    while (!begun(await look()) && Date.now() < patience) await pause(100);
    return { player, page, look, samples, said };
  }

  async function end() {
    await browser.close();
    server.close();
  }
  return { blank, open, end };
}
