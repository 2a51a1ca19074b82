// Opens the public pages in headless Chromium, also in a frame of another origin, and prints what was seen as JSON.
//
//   node public.mjs HTTP_URL CHANNEL RECORDING         RECORDING: <vod>/<path>
import { createServer } from "node:http";
import { Visit, until } from "./pages.mjs";
import { pause } from "./chromium.mjs";

const [base, channel, recording] = process.argv.slice(2);
const visit = new Visit();
await visit.begin();
const report = { steps: [] };
const step = (name, value) => report.steps.push({ name, value });

// Mean luma of what a video shows, and its time.
const look = (video) => video.evaluate((element) => {
  if (element.readyState < 2 || !element.videoWidth) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [16, 9];
  const context = canvas.getContext("2d");
  context.drawImage(element, 0, 0, 16, 9);
  const { data } = context.getImageData(0, 0, 16, 9);
  let luma = 0;
  for (let at = 0; at < data.length; at += 4) luma += (0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]) / 144;
  return { luma, time: element.currentTime, width: element.videoWidth };
});

// Shows a picture, and goes on.
async function plays(name, video) {
  const { answer: first } = await until(async () => { const seen = await look(video); return seen?.luma > 20 && seen; });
  await until(async () => (await look(video))?.time >= first.time + 1.5);
  step(`${name} plays: luma ${first.luma.toFixed(0)}, ${first.width} wide`, true);
}

const list = await visit.open(`${base}/`);
await list.waitForSelector("#channels a");
step("the list names the channel", (await list.locator(`a[href='/watch/${channel}']`).count()) === 1);
step("the list says what is on", /On air|No lecture/.test(await list.textContent("#channels")));
report.policy = list.policy;
await visit.judge(list, "list en");
await visit.shoot(list, "list");
await list.locator(`a[href='/watch/${channel}']`).click();
await plays("live", list.locator("video"));
await list.close();

// Live, with words that are markup in its address.
const evil = "<img src=x onerror=window.pwned=1>";
const live = await visit.open(`${base}/watch/${channel}?course=${encodeURIComponent(evil)}&unit=UE3&id=1042&lang=en`);
report.watch_policy = live.policy;
await plays("live with a title", live.locator("video"));
const title = await live.textContent("#title");
step(`markup in the address is text: ${title}`, title === `${evil} · UE3 · 1042` && (await live.evaluate(() => window.pwned)) === undefined);
await until(async () => (await live.locator("#quality option").count()) >= 3);
const best = await live.locator("#quality option").allTextContents();
step(`qualities: ${best}`, best.some((it) => it === "720p"));
await live.locator("#quality").selectOption({ label: "480p" });
await until(async () => (await look(live.locator("video")))?.width === 854);
step("the quality chosen is shown", true);
await live.locator("#quality").evaluate((select) => select.blur());
await live.keyboard.press("m");
step("m mutes", await live.locator("video").evaluate((video) => video.muted));
await live.keyboard.press("k");
step("k pauses", await live.locator("video").evaluate((video) => video.paused));
await visit.judge(live, "watch live en");
await live.keyboard.press("k");
await live.click("#audio");
await until(() => live.locator("video").evaluate((video) => video.readyState > 2 && video.videoWidth === 0 && video.currentTime > 0));
step("audio only plays", true);
await live.click("#audio");
await plays("the picture again", live.locator("video"));
await live.close();

// In a frame, as a course page has it.
const course = createServer((_, response) => {
  response.writeHead(200, { "Content-Type": "text/html" });
  response.end(`<!doctype html><title>Moodle</title><iframe src="${base}/watch/${channel}?course=PAES" width="720" height="405" allow="autoplay; fullscreen"></iframe>`);
});
await new Promise((resolve) => course.listen(0, "127.0.0.1", resolve));
const moodle = await visit.open(`http://127.0.0.1:${course.address().port}/`);
await plays("a framed player", moodle.frameLocator("iframe").locator("video"));
await moodle.close();
course.close();

// A recording: seek by keyboard, subtitles, chapters.
const vod = await visit.open(`${base}/watch/${recording}?lang=fr&muted=1`);
await plays("a recording", vod.locator("video"));
await until(async () => Number(await vod.locator("#seek").getAttribute("max")) > 100);
await vod.locator("#title").click({ force: true });
const before = (await look(vod.locator("video"))).time;
await vod.keyboard.press("ArrowRight");
await until(async () => (await look(vod.locator("video")))?.time >= before + 4);
step("the right arrow goes on by 5 s", true);
if ((await vod.locator("#subtitles option").count()) > 1) {
  await vod.locator("#subtitles").selectOption("0");
  await vod.locator("#seek").fill("20");
  await until(() => vod.locator("video").evaluate((video) => [...video.textTracks].some((track) => track.activeCues?.length)));
  step("subtitles", await vod.locator("video").evaluate((video) => [...video.textTracks].flatMap((track) => [...(track.activeCues ?? [])].map((cue) => cue.text)).join()));
}
if ((await vod.locator("#chapters option").count()) > 1) {
  await vod.locator("#chapters").selectOption("1");
  await until(async () => (await look(vod.locator("video")))?.time >= 10);
  step("chapters", await vod.locator("#chapters option").allTextContents());
}
await vod.click("#audio");
await until(() => vod.locator("video").evaluate((video) => video.readyState > 2 && video.videoWidth === 0));
step("a recording's sound alone", true);
await vod.click("#audio");
await plays("its picture again", vod.locator("video"));
step("in French", (await vod.getAttribute("#play", "aria-label")) === "Pause" && (await vod.textContent("#audio")) === "Son seul");
await visit.judge(vod, "watch vod fr");
await visit.shoot(vod, "watch-vod");
await vod.close();

const shown = await visit.open(`${base}/watch/${channel}?course=PAES&unit=UE3%20Biophysique&muted=1`, { width: 1120, height: 630 });
await plays("a player for the picture", shown.locator("video"));
await pause(1500);
await shown.mouse.move(500, 300);
await pause(400);
await visit.shoot(shown, "watch");
await shown.close();
const phone = await visit.open(`${base}/`, { locale: "fr-FR", width: 390, height: 700, dark: true, touch: true });
await phone.waitForSelector("#channels a");
step("the list in French", (await phone.textContent("#heading")) === "Chaînes en direct");
await visit.judge(phone, "list fr dark");
await visit.shoot(phone, "list-phone");
await visit.end(report);
