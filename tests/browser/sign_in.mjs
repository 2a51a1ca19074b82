// Signs in to the console as people, at a real OpenID provider, in headless Chromium; prints what came of it as JSON.
//
//   node sign_in.mjs ADMIN_URL
//
// The provider knows ada (an operator), bob (a viewer) and eve (nobody). SHOTS=FOLDER keeps screenshots.
import { Visit, until } from "./pages.mjs";

const [admin] = process.argv.slice(2);
const report = { steps: [] };
const step = (name, value) => report.steps.push({ name, value });

const visit = new Visit();
await visit.begin();
const begin = async () => {
  const page = await visit.open(`${admin}/`);
  await page.locator("#login").waitFor();
  return page;
};
// Through the provider's forms, and back.
const signIn = async (page, name) => {
  await page.click("#sign-in");
  await page.fill("input[name=login]", name);
  await page.fill("input[name=password]", "any");
  await page.click("button[type=submit]");
  await page.locator("button[type=submit]", { hasText: "Continue" }).click();
  await page.waitForURL((url) => url.origin === admin);
};

const page = await begin();
report.policy = page.policy;
step("the button has its text", (await page.textContent("#sign-in")) === "Campus account");
step("a token may be shown as well", await page.locator("#token").isVisible());
await visit.judge(page, "sign-in");
await visit.shoot(page, "sign-in");
await signIn(page, "ada");
await page.locator("#grid-body button.cross").first().waitFor();
step("the address has no code", page.url() === `${admin}/`);
await until(async () => (await page.textContent("#person")) === "Ada Müller");
step("the console says who", true);
await page.locator("#grid-body button.cross:not([data-kind='on'])").first().click();
await page.locator("#audit summary").click();
await until(async () => /operator · Ada Müller · 127\.0\.0\.1\s*(dis)?connected/.test(await page.textContent("#audit-body")));
step("the log has the person who gave an order", true);
await visit.judge(page, "console of a person");
await visit.shoot(page, "person", { fullPage: true });
const cookies = await page.context().cookies(admin);
const session = cookies.find((cookie) => cookie.name === "amphi_session");
step("the cookie is out of scripts' and other sites' reach", session.httpOnly && session.sameSite === "Strict");
step("no other cookie is left", cookies.filter((cookie) => cookie.name.startsWith("amphi")).length === 1);

const other = await begin();
await signIn(other, "bob");
await other.locator("#grid-body button.cross").first().waitFor();
await until(async () => !(await other.locator("#audit").isVisible()));
step("a viewer looks only", true);
await other.click("#logout");
await other.locator("button[value=yes]").click();
await other.waitForURL((url) => url.origin === admin);
await other.locator("#login").waitFor();
step("signing out ends the provider's session, too, and leads back", true);
await other.click("#sign-in");
await other.locator("input[name=login]").waitFor();
step("the provider asks again", true);

const stranger = await begin();
await signIn(stranger, "eve");
step("whoever has no role is told whom to ask", (await stranger.textContent("main")).includes("Ask the video team for access"));
step("and not what they have", !(await stranger.textContent("main")).includes("students"));
await visit.judge(stranger, "no access");
await visit.shoot(stranger, "no-access");

step("cookie", session.value);
// Browsers note that they were asked who they are; the provider's own pages ask for a font.
visit.errors = visit.errors.filter((error) => !/status of (401|403)/.test(error) && !/fonts\.googleapis/.test(error) && error.includes(admin));
visit.outside = visit.outside.filter((url) => !url.startsWith("https://fonts.googleapis.com/"));
await visit.end(report);
