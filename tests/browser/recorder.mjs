// Records with Chromium's MediaRecorder: a canvas that changes now and then, a voice of noise, and pauses.
//
//   node recorder.mjs FILE SECONDS TYPE        TYPE e.g. 'video/mp4;codecs="vp9,opus"'
import { appendFileSync, writeFileSync } from "node:fs";
import { launch } from "./chromium.mjs";

const [file, seconds, type] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage();
await page.goto("about:blank");
if (!(await page.evaluate((type) => MediaRecorder.isTypeSupported(type), type))) {
  console.log(`${type} is not recorded by this browser`);
  await browser.close();
  process.exit(2);
}
writeFileSync(file, "");
await page.exposeFunction("keep", (text) => appendFileSync(file, Buffer.from(text, "base64")));
await page.evaluate(async ({ type, seconds }) => {
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  // The same numbers each time.
  let state = 17;
  const random = () => { state = (state * 1103515245 + 12345) % 2147483648; return state / 2147483648; };
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [320, 180];
  document.body.append(canvas);
  const context = canvas.getContext("2d");
  let number = 0;
  const draw = () => {
    context.fillStyle = `hsl(${number * 37 % 360} 80% 50%)`;
    context.fillRect(0, 0, 320, 180);
    context.fillStyle = "#fff";
    context.font = "40px sans-serif";
    context.fillText(String(number++), 40 + number * 7 % 200, 100);
  };
  let timer;
  const again = () => { draw(); timer = setTimeout(again, 40 + random() * 700); };
  again();
  const audio = new AudioContext();
  const noise = audio.createBuffer(1, audio.sampleRate * 7, audio.sampleRate);
  const samples = noise.getChannelData(0);
  for (let at = 0; at < samples.length; at += 1) samples[at] = (random() - 0.5) * (0.1 + (at / 4800 | 0) % 7 / 10);
  const voice = audio.createBufferSource();
  [voice.buffer, voice.loop] = [noise, true];
  const low = audio.createBiquadFilter();
  low.frequency.value = 2500;
  const heard = audio.createMediaStreamDestination();
  voice.connect(low).connect(heard);
  voice.start();
  const stream = canvas.captureStream();
  heard.stream.getAudioTracks().forEach((track) => stream.addTrack(track));
  const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 300000 });
  let writing = Promise.resolve();
  recorder.ondataavailable = ({ data }) => {
    writing = writing.then(async () => {
      const bytes = new Uint8Array(await data.arrayBuffer());
      let text = "";
      for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
      await keep(btoa(text));
    });
  };
  const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start(1000);
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await wait(Math.min(seconds * 300, 20000));
    // The lecturer pauses the recording; then the screen stands still.
    recorder.pause();
    await wait(1500);
    recorder.resume();
    clearTimeout(timer);
    await wait(1500);
    again();
  }
  clearTimeout(timer);
  recorder.stop();
  await stopped;
  await writing;
}, { type, seconds: Number(seconds) });
await browser.close();
