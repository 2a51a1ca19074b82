// What the scripts that look at our own pages have in common: a browser that reaches this machine alone, a list of
// everything that a page complains of, and axe-core.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { launch, pause, root } from "./chromium.mjs";

const axe = await readFile(join(root, "node_modules/axe-core/axe.min.js"), "utf8");

export class Visit {
  constructor() {
    this.errors = [];
    this.outside = [];
    this.axe = {};
  }

  async begin() {
    this.browser = await launch();
  }

  // A page in a context of its own.
  async open(url, { locale = "en-GB", dark = false, width = 1440, height = 1000, touch = false, zone = "Europe/Paris" } = {}) {
    const context = await this.browser.newContext({
      locale, colorScheme: dark ? "dark" : "light", viewport: { width, height }, hasTouch: touch, isMobile: touch,
      deviceScaleFactor: Number(process.env.SCALE ?? 1), timezoneId: zone,
    });
    await context.route((asked) => asked.hostname !== "127.0.0.1", (route) => {
      this.outside.push(route.request().url());
      return route.abort();
    });
    const page = await context.newPage();
    page.on("pageerror", (error) => this.errors.push(`${page.url()}: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(`${page.url()}: ${message.text()} ${message.location().url}`);
    });
    page.policy = (await page.goto(url)).headers()["content-security-policy"] ?? "";
    return page;
  }

  // Faults of accessibility that are serious or critical.
  async judge(page, name) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const bad = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    this.axe[name] = bad.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => `${node.html} (${node.failureSummary})`).join(" | ")}`);
  }

  // A picture of the page, for people, where SHOTS names a folder.
  async shoot(page, name, more = {}) {
    if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`), ...more });
  }

  async end(report) {
    await this.browser.close();
    console.log(JSON.stringify({ errors: this.errors, outside: this.outside, axe: this.axe, ...report }));
  }
}

// Asks again until the answer is not false; what it was, and how long that took in milliseconds.
export async function until(ask, patience = 30_000) {
  const begun = Date.now();
  for (;;) {
    const answer = await ask();
    if (answer) return { answer, ms: Date.now() - begun };
    if (Date.now() - begun > patience) throw new Error(`never: ${ask}`);
    await pause(50);
  }
}
