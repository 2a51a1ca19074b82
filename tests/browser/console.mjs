// Works with the console as an operator does, in headless Chromium, and prints what came of it as JSON.
//
//   node console.mjs ADMIN_URL
//
// The server is the demo, or one with its names. SHOTS=FOLDER keeps screenshots.
import { Visit, until } from "./pages.mjs";
import { pause } from "./chromium.mjs";

const [admin] = process.argv.slice(2);
const [CHANNEL, OTHER, HALL, THIRD] = ["Live_L2", "Live_PAES", "PS-Amphi_B", "PS-Amphi_C"];
const api = async (method, path, body) => {
  const response = await fetch(`${admin}/api/v1/${path}`, {
    method, ...(body ? { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {}),
  });
  return response.json();
};
const channel = async (name = CHANNEL) => (await api("GET", "matrix")).channels.find((it) => it.name === name);
const report = { steps: [], appeared_ms: {} };
const step = (name, value) => report.steps.push({ name, value });

const visit = new Visit();
await visit.begin();
const page = await visit.open(`${admin}/`);
report.policy = page.policy;
await page.waitForSelector("#grid-body button.cross");

const cross = (source, name = CHANNEL) => page.locator("#grid-body tr", { hasText: source }).locator("button.cross")
  .nth(report.columns.indexOf(name));
report.columns = (await api("GET", "matrix")).channels.map((it) => it.name);
const kind = (source, name) => cross(source, name).getAttribute("data-kind");

// What others do appears.
await api("PUT", `channels/${CHANNEL}/source`, { source: THIRD });
report.appeared_ms.order = (await until(async () => (await cross(THIRD).getAttribute("aria-pressed")) === "true")).ms;
await until(async () => (await channel()).on_air.source === THIRD);
report.appeared_ms.on_air = (await until(async () => (await kind(THIRD)) === "live")).ms;
await api("DELETE", `channels/${CHANNEL}/source`);
report.appeared_ms.disconnected = (await until(async () => (await cross(THIRD).getAttribute("aria-pressed")) === "false")).ms;

// A click connects, with an end; the other row's click disconnects.
await page.selectOption("#duration", "30");
await cross(HALL).click();
await until(async () => (await channel()).desired.source === HALL);
const desired = (await channel()).desired;
step("click connects by hand", desired.by === "manual");
const minutes = (Date.parse(desired.until) - Date.now()) / 60_000;
step("the order ends in half an hour", minutes > 28 && minutes < 31);
// The matrix may know it before the page has the answer to its click.
await until(async () => (await page.textContent("#toast-words")).includes(HALL));
step("a toast says so", true);
await until(async () => (await kind(HALL)) === "live");
step("the crosspoint says who and until when", /by hand.*until/.test(await cross(HALL).textContent()));
await page.locator(".waiting-row button.cross").nth(report.columns.indexOf(CHANNEL)).click();
await until(async () => (await channel()).desired.source === null);
step("the waiting row disconnects", (await channel()).desired.by === "manual");
await page.click("#toast-undo");
await until(async () => (await channel()).desired.source === HALL);
step("undo brings the order back with its end", (await channel()).desired.until === desired.until);
await cross(HALL).click();
await until(async () => (await channel()).desired.source === null);
step("a click on what is connected disconnects", true);

// The same from a channel's card.
const card = page.locator(`#c-${CHANNEL}`);
await card.locator(".source").selectOption(THIRD);
await card.locator(".hold").selectOption("60");
await card.locator(".connect").click();
await until(async () => (await channel()).desired.source === THIRD);
step("the card connects", Math.abs((Date.parse((await channel()).desired.until) - Date.now()) / 60_000 - 60) < 2);
await card.locator(".disconnect").click();
await until(async () => (await channel()).desired.source === null);
await card.locator(".clear").click();
await until(async () => (await channel()).desired.by !== "manual");
step("the card gives back to the plan", true);
await page.selectOption("#duration", "clock");
await page.fill("#duration-until", "23:59");
await cross(HALL).click();
await until(async () => (await channel()).desired.source === HALL);
const end = new Date((await channel()).desired.until).toLocaleTimeString("en-GB", { timeZone: "Europe/Paris", hour: "2-digit", minute: "2-digit" });
step(`until a time of day: ${end}`, end === "23:59");
await api("DELETE", `channels/${CHANNEL}/override`);
await page.selectOption("#duration", "");

// By keyboard alone: Tab to the matrix, arrows, Enter.
await page.locator("#duration").focus();
for (let tabs = 0; tabs < 6 && !(await page.evaluate(() => document.activeElement.matches("button.cross"))); tabs += 1) await page.keyboard.press("Tab");
step("Tab reaches the matrix", await page.evaluate(() => document.activeElement.matches("button.cross")));
for (let up = 0; up < 8; up += 1) await page.keyboard.press("ArrowUp");
await page.keyboard.press("Home");
await page.keyboard.press("ArrowDown");
for (let right = 0; right < report.columns.indexOf(CHANNEL); right += 1) await page.keyboard.press("ArrowRight");
const label = await page.evaluate(() => document.activeElement.textContent);
step(`the focus says what it does: ${label}`, label.includes(HALL) && label.includes(CHANNEL));
await page.keyboard.press("Enter");
await until(async () => (await channel()).desired.source === HALL);
step("Enter connects", (await channel()).desired.until === undefined);
step("one stop for Tab", (await page.locator("#grid-body button.cross[tabindex='0']").count()) === 1);
step("a screen reader hears it", (await until(async () => (await page.textContent("#announcer")).includes(HALL))).answer);
await until(async () => (await kind(HALL)) === "live");

// A hall fails.
await fetch(`${admin}/demo/halls/${HALL}/fault`, { method: "PUT", body: "off" });
await until(async () => (await channel()).on_air.source === null);
report.appeared_ms.lost = (await until(async () => (await kind(HALL)) === "coming")).ms;
await until(async () => (await api("GET", "alarms")).some((it) => it.source === HALL));
report.appeared_ms.alarm = (await until(async () => (await page.textContent("#alarm-list")).includes(HALL))).ms;
step("the hall's state is a word", /Retrying|Connecting/.test(await page.locator("#health-body tr", { hasText: HALL }).textContent()));
await visit.judge(page, "console with an alarm");
await fetch(`${admin}/demo/halls/${HALL}/fault`, { method: "PUT", body: "" });

// Words from outside stay words.
const evil = "<img src=x onerror=\"window.pwned=1\">";
await api("PUT", `channels/${CHANNEL}/notice`, { title: evil, place: evil });
await until(async () => (await card.textContent()).includes(evil));
step("markup in a notice is text", (await page.evaluate(() => window.pwned)) === undefined && (await page.locator("img[src='x']").count()) === 0);
await api("DELETE", `channels/${CHANNEL}/notice`);

// Pictures, levels, health.
const seen = (selector) => page.waitForFunction((it) => [...document.querySelectorAll(it)].some((image) => image.naturalWidth > 0), selector);
await seen("#grid-body img.has-picture");
await seen("#channel-list img.has-picture");
step("thumbnails of halls and of channels", true);
const idle = THIRD;
await until(async () => (await page.locator("#grid-body tr", { hasText: idle }).locator("img.has-picture").count()) === 1, 40_000);
step("an idle hall has been looked at", (await api("GET", `sources/${idle}`)).state === "idle");
await until(async () => (await page.evaluate(() => [...document.querySelectorAll("#grid-body .meter:not([data-silent]) .rms")].some((bar) => parseFloat(bar.style.clipPath.slice(6)) < 95))));
step("a level moves", true);
const row = () => page.locator("#health-body tr", { hasText: HALL }).textContent();
await until(async () => /1[45]\.\d/.test(await row()));
step(`health in figures: ${await row()}`, /kbit\/s/.test(await row()) && /ppm/.test(await row()));
step("without a schedule the page says so", /No schedule/.test(await page.textContent("#day-hint")));
step("viewers are drawn", (await page.locator("#charts .areas path").count()) > 0);

// The player of viewers, in a frame.
await page.locator(`#c-${OTHER} .watch`).click();
const frame = page.frameLocator("#player iframe");
await frame.locator("video").waitFor();
const played = await until(() => frame.locator("video").evaluate((video) => (video.readyState > 2 && video.currentTime > 0 ? video.currentTime : 0)));
await pause(1000);
step("the framed player plays", (await frame.locator("video").evaluate((video) => video.currentTime)) > played.answer);
await page.click("#player-close");

await visit.judge(page, "console en");
await visit.shoot(page, "console", { fullPage: true });
await visit.shoot(page, "console-top");
await page.selectOption("#language", "fr");
await page.waitForFunction(() => document.documentElement.lang === "fr");
step("in French by choice", (await page.textContent("#channels-title")) === "Chaînes");
await page.close();

const french = await visit.open(`${admin}/`, { locale: "fr-FR", dark: true });
await french.waitForSelector("#grid-body img.has-picture");
await pause(2500);
step("in French by the browser's wish", (await french.evaluate(() => document.documentElement.lang)) === "fr" && (await french.textContent("#matrix-title")) === "Salles et chaînes");
await visit.judge(french, "console fr dark");
await visit.shoot(french, "console-dark", { fullPage: true });
await french.close();

const phone = await visit.open(`${admin}/`, { width: 390, height: 844, touch: true });
await phone.waitForSelector("#channel-list img.has-picture");
await pause(2500);
step("a phone does not scroll sideways", await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
await phone.locator(`#c-${CHANNEL} .source`).selectOption(HALL);
await phone.locator(`#c-${CHANNEL} .connect`).tap();
await until(async () => (await channel()).desired.source === HALL);
step("a tap on a phone connects", true);
await visit.judge(phone, "console phone");
await visit.shoot(phone, "console-phone", { fullPage: true });
await visit.end(report);
