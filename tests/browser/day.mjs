// Looks at the day in the console as an operator does, in headless Chromium, and prints what came of it as JSON.
//
//   node day.mjs ADMIN_URL
//
// The server is the demo with its schedule. SHOTS=FOLDER keeps screenshots.
import { Visit, until } from "./pages.mjs";

const [admin] = process.argv.slice(2);
const report = { steps: [] };
const step = (name, value) => report.steps.push({ name, value });

const visit = new Visit();
await visit.begin();
const page = await visit.open(`${admin}/`);
report.policy = page.policy;
await until(async () => (await page.locator("#lanes .lecture").count()) > 2);
const { events } = await (await fetch(`${admin}/api/v1/schedule`)).json();
const drawn = (await page.locator("#lanes .lecture").allTextContents()).join("\n");
step("lectures have their titles", drawn.includes(events.find((event) => event.channel)?.title));
step("the line of now is in the day", await page.locator("#lanes .now-line").isVisible());
await visit.judge(page, "day");
await visit.shoot(page, "day", { fullPage: true });
await visit.end(report);
