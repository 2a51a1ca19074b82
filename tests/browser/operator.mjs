// Signs in to the console with a token and looks at a day with a conflict, in headless Chromium; prints what came of it as
// JSON.
//
//   node operator.mjs ADMIN_URL OPERATORS_TOKEN VIEWERS_TOKEN MARKUP
//
// The calendar has a lecture that is on, two at once later, and one whose title is MARKUP. SHOTS=FOLDER keeps screenshots.
import { Visit, until } from "./pages.mjs";

const [admin, operator, viewer, evil] = process.argv.slice(2);
const api = (method, path, body) => fetch(`${admin}/api/v1/${path}`, {
  method, body, headers: { Authorization: `Bearer ${operator}`, "Content-Type": "application/json" },
});
const report = { steps: [] };
const step = (name, value) => report.steps.push({ name, value });
const is_text = async (page) => (await page.evaluate(() => window.pwned)) === undefined && (await page.locator("img[src='x']").count()) === 0;

const visit = new Visit();
await visit.begin();
// Where it is noon: the whole calendar is today.
const offset = 12 - new Date().getUTCHours();
const page = await visit.open(`${admin}/`, { zone: `Etc/GMT${offset > 0 ? "-" : "+"}${Math.abs(offset)}` });
report.policy = page.policy;
const login = page.locator("#login");
await login.waitFor();
step("a token is asked for", (await page.locator("#grid-body button.cross").count()) === 0);
await page.fill("#token", "not-the-token");
await page.keyboard.press("Enter");
await until(async () => (await page.textContent("#login-fault")) !== "");
step("a wrong token is refused in words", (await page.textContent("#login-fault")).includes("not the right token"));
await page.fill("#token", operator);
await page.keyboard.press("Enter");
await login.waitFor({ state: "hidden" });
await page.locator("#grid-body button.cross").first().waitFor();
step("the token signs in, by keyboard", await page.locator("#logout").isVisible());

// The day: what is on, what is next, what cannot be.
await until(async () => (await page.locator("#lanes .lecture").count()) === 4);
const lecture = (title) => page.locator("#lanes .lecture", { has: page.locator(".title", { hasText: title }) });
step("what is on is marked", (await lecture("UE3 Biophysique").getAttribute("data-when")) === "now");
step("what comes is ahead", (await lecture("UE1 Chimie").getAttribute("data-when")) === "ahead");
step("both of a conflict are marked", (await page.locator("#lanes .lecture[data-conflict]").count()) === 2);
step("the conflict is a sentence", (await page.textContent("#conflicts")).includes("has two events at once"));
const card = page.locator("#c-Live");
await until(async () => (await card.textContent()).includes("by the schedule"));
step("the card says now and why", (await card.textContent()).includes("UE3 Biophysique"));
step("a title that is markup is text", (await page.textContent("#lanes")).includes(evil) && (await is_text(page)));
await lecture("UE1 Chimie").focus();
await page.keyboard.press("Enter");
step("a lecture tells its conflict by keyboard", (await page.textContent("#day-hint")).includes("has two events at once"));
await page.keyboard.press("Enter");

// Who did what.
step("what is not there cannot be connected", (await api("PUT", "channels/Live/source", JSON.stringify({ source: evil }))).status === 422);
await page.locator("#audit summary").focus();
await page.keyboard.press("Enter");
const rows = page.locator("#audit-body tr");
await until(async () => (await rows.count()) >= 3);
const told = () => page.textContent("#audit-body");
await until(async () => (await told()).includes("Refused"));
step("the log has the schedule", /schedule\s*connected/.test(await told()));
step("the log has who signed in and from where", /operator · 127\.0\.0\.1\s*signed in/.test(await told()));
step("the log has what was refused, as text", (await told()).includes(evil) && (await is_text(page)));
await api("DELETE", "channels/Live/source");
await page.click("#audit-again");
await until(async () => /disconnected/.test(await rows.first().textContent()));
step("the log is read again at a click", true);
await api("DELETE", "channels/Live/override");
await visit.judge(page, "console of an operator");
await visit.shoot(page, "operator", { fullPage: true });
await page.selectOption("#language", "fr");
await until(async () => (await page.textContent("#audit-title")) === "Qui a fait quoi");
// The title is said at once, the rows when they have been read again.
await until(async () => /planning\s*connectée/.test(await told()));
step("the log speaks French", true);
await page.click("#logout");
await login.waitFor();
step("signing out asks for a token again", true);

// Who may only look.
await page.fill("#token", viewer);
await page.keyboard.press("Enter");
await login.waitFor({ state: "hidden" });
await page.locator("#grid-body button.cross").first().waitFor();
await until(async () => !(await page.locator("#audit").isVisible()));
step("the log is for operators", !(await page.locator("#nav-audit").isVisible()));
await visit.judge(page, "console of a viewer");

// Browsers note that a token was asked for, and that one was refused.
visit.errors = visit.errors.filter((error) => !/status of 401 .*\/api\/v1\//.test(error));
await visit.end(report);
