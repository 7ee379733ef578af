#!/usr/bin/env node
// Opens pages and drawings of simulated runs in a browser, without a window, and uses them as a reader would.
//
//   node scripts/check-page.mjs FILE.html|FILE.svg… [--screenshot=OUT.png] [--width=1280] [--height=800] [--dark]
//                               [--at=0.5] [--zoom=2] [--scroll=0.3] [--hover=5]
//
// A page fails if anything is reported to the console, if it asks for anything from outside, if lanes or messages are
// missing, or if the slider, the arrow keys, the filters or a message under the pointer do nothing. Exit: 0 all well,
// 1 not, 77 SKIPPED since there is no browser or no playwright-core. --screenshot keeps how it looks; --at and --scroll
// (shares of the run), --zoom and --hover (the number of a message) say of what.
//
// The browser is $CHROMIUM or what is installed; playwright-core is taken from $PLAYWRIGHT_CORE or from where node finds
// it, else npm fetches it into a temporary folder, unless SETUP_INSTALL=no.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir, userInfo } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const PLAYWRIGHT = "1.56.1"; // speaks to any chromium of the last years
const options = { width: 1280, height: 800 };
const files = [];
for (const word of process.argv.slice(2)) {
  const [, name, value] = word.match(/^--([a-z]+)(?:=(.*))?$/) ?? [];
  if (name) options[name] = value === undefined ? true : isNaN(value) ? value : Number(value);
  else files.push(resolve(word));
}

function skip(reason) {
  console.log(`SKIPPED: the pages were not opened in a browser: ${reason}`);
  process.exit(77);
}

function browserPath() {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
  const found = process.env.CHROMIUM ? [process.env.CHROMIUM]
    : (process.env.PATH ?? "").split(":").flatMap((folder) => names.map((name) => join(folder, name)));
  return found.find(existsSync) ?? skip("no chromium (on Debian and Ubuntu: apt-get install chromium)");
}

function playwright() {
  const folder = join(tmpdir(), `inbetweenies-playwright-${userInfo().uid}-${PLAYWRIGHT}`);
  const places = [process.env.PLAYWRIGHT_CORE, process.cwd(), folder].filter(Boolean);
  const find = () => {
    for (const place of places) {
      try { return createRequire(join(place, "x.js"))("playwright-core"); } catch { /* not there */ }
    }
  };
  const found = find();
  if (found) return found;
  if (process.env.SETUP_INSTALL === "no") skip("no playwright-core, and SETUP_INSTALL=no");
  try {
    mkdirSync(folder, { recursive: true });
    execFileSync("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--fetch-retries=1", `playwright-core@${PLAYWRIGHT}`],
      { stdio: "pipe", timeout: 120_000 });
  } catch (error) {
    skip(`playwright-core cannot be fetched: ${String(error.stderr || error.message).trim().split("\n")[0]}`);
  }
  return find() ?? skip("playwright-core was fetched and cannot be loaded");
}

class Fault extends Error {}
const expect = (holds, words) => { if (!holds) throw new Fault(words); };

/** What the canvas shows, so that two looks can be compared. */
const look = (page) => page.evaluate(() => document.getElementById("paper").toDataURL());
/** Waits until what was asked for has been painted. */
const painted = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

async function checkPage(page) {
  const data = await page.evaluate(() => JSON.parse(document.getElementById("data").textContent));
  const heads = await page.locator("#heads .lane").count();
  expect(heads === data.lanes.length, `${heads} lanes are shown, ${data.lanes.length} are in the data`);
  for (const [n, lane] of data.lanes.entries()) {
    const name = await page.locator("#heads .lane .name").nth(n).textContent();
    expect(name === lane.name, `lane ${n} is called ${JSON.stringify(name)}, not ${JSON.stringify(lane.name)}`);
  }
  const chatter = data.messages.filter((m) => m[8]).length, talk = data.messages.length - chatter;
  const shown = () => page.evaluate(() => window.drawing.shown());
  expect((await shown()) === talk, `${await shown()} messages are shown, ${talk} are in the data`);

  if (chatter) {
    await page.locator("#chatter").check();
    expect((await shown()) === talk + chatter, "the checkbox does not show the heartbeats");
    await page.locator("#chatter").uncheck();
  }
  const chips = await page.locator("#names button").count();
  if (chips) {
    await page.locator("#names button").first().click();
    expect((await shown()) < talk, "hiding a name hides no message");
    await page.locator("#names button").first().click();
    expect((await shown()) === talk, "showing a name again does not");
  }

  // The slider: what lies after it is veiled, and the heads tell what the lanes held then.
  if (data.until > 0) {
    const before = await look(page), clock = await page.locator("#clock").textContent();
    await page.locator("#slider").evaluate((slider) => {
      slider.value = slider.max / 3;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    });
    await painted(page);
    expect((await look(page)) !== before, "the slider moves and the picture stays");
    const third = await page.locator("#clock").textContent();
    expect(third !== clock, "the slider moves and the clock stays");
    const value = () => page.locator("#slider").evaluate((slider) => Number(slider.value)), from = await value();
    await page.locator("#slider").focus();
    await page.keyboard.press("ArrowRight");
    expect((await value()) > from, "the arrow key does not go to the next happening");
    await page.locator("#play").click();
    await page.waitForTimeout(300);
    await page.locator("#play").click();
    await page.locator("#slider").evaluate((slider) => {
      slider.value = slider.max;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  // A message under the pointer tells of itself. Where lines cross it may be another's turn: one of a few must do.
  const some = data.messages.map((m, id) => ({ id, name: data.names[m[4]], chatter: m[8], from: data.lanes[m[0]]?.name })).filter((m) => !m.chatter);
  let told = some.length === 0, last = "";
  for (const message of some.slice(0, 8)) {
    const spot = await page.evaluate((id) => window.drawing.locate(id), message.id);
    await painted(page); // scrolling puts away what was under the pointer
    await page.mouse.move(spot.x - 40, spot.y - 40);
    await page.mouse.move(spot.x, spot.y);
    await painted(page);
    last = (await page.locator("#tip").isVisible()) ? await page.locator("#tip").textContent() : "nothing";
    if (last.startsWith(`${message.name}: `) && last.includes("sent") && last.includes("bytes")) { told = true; break; }
  }
  expect(told, `a message under the pointer tells ${JSON.stringify(last)}`);
  await page.mouse.move(2, 2);
  await page.evaluate(() => { document.getElementById("scroll").scrollTop = 0; });

  if (data.rows.length) {
    expect((await page.locator("#list li").count()) > 0, "the list is empty");
    await page.locator("#list li button").first().click();
    expect((await page.locator("#list li.here").count()) === 1, "a row that is clicked is not the present one");
    await page.keyboard.press("Escape");
  }
  await page.locator("#whole").click();
  await page.locator("#nearer").click();
  await painted(page);
  return `${data.lanes.length} lanes, ${data.messages.length} messages`;
}

async function checkDrawing(page) {
  const root = await page.evaluate(() => document.documentElement.nodeName);
  expect(root === "svg", `the browser reads it as ${root}`);
  expect((await page.locator("parsererror").count()) === 0, "the browser cannot parse it");
  return `${await page.locator("g.lane").count()} lanes`;
}

async function check(browser, file) {
  const context = await browser.newContext({
    viewport: { width: options.width, height: options.height },
    colorScheme: options.dark ? "dark" : "light",
    deviceScaleFactor: options.scale ?? 1,
    hasTouch: Boolean(options.touch),
  });
  const page = await context.newPage(), complaints = [], url = pathToFileURL(file).href;
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
  page.on("pageerror", (error) => complaints.push(error.stack ?? String(error)));
  page.on("request", (request) => { if (request.url() !== url && !request.url().startsWith("data:")) complaints.push(`asks for ${request.url()}`); });
  const start = Date.now();
  try {
    await page.goto(url);
    const drawing = file.endsWith(".svg");
    if (!drawing) await painted(page);
    const took = Date.now() - start;
    const words = drawing ? await checkDrawing(page) : await checkPage(page);
    expect(complaints.length === 0, complaints.join("\n"));
    console.log(`ok: ${basename(file)}: ${words}, open after ${took} ms`);
    return true;
  } catch (error) {
    console.log(`FAILED: ${basename(file)}: ${error instanceof Fault ? error.message : error.stack}`);
    if (complaints.length) console.log(complaints.join("\n"));
    return false;
  } finally {
    if (options.screenshot) await screenshot(page, url);
    await context.close();
  }
}

/** How a reader finds the page, or after what the options say. */
async function screenshot(page, url) {
  if (url.endsWith(".svg")) {
    // Of a document that is an SVG, chromium without a window takes no picture: it is shown inside a page.
    const drawing = readFileSync(new URL(url), "utf8").replace(/^<\?xml.*?\?>/, "");
    await page.goto("about:blank");
    await page.setContent(`<body style="margin:0">${drawing}`);
  } else {
    await page.goto(url);
    await painted(page);
    await page.evaluate((o) => {
      if (o.zoom) window.drawing.zoom(o.zoom);
      const scroll = document.getElementById("scroll"), slider = document.getElementById("slider");
      if (o.chatter) document.getElementById("chatter").click();
      if (o.talk) document.getElementById("talk").click();
      if (o.at) { slider.value = slider.max * o.at; slider.dispatchEvent(new Event("input", { bubbles: true })); }
      if (o.scroll) scroll.scrollTop = o.scroll * scroll.scrollHeight;
    }, options);
    await painted(page);
    if (options.hover !== undefined) {
      const spot = await page.evaluate((nth) => {
        const { messages } = JSON.parse(document.getElementById("data").textContent);
        return window.drawing.locate(messages.map((m, id) => [m, id]).filter(([m]) => !m[8])[nth][1]);
      }, Number(options.hover));
      await painted(page);
      await page.mouse.move(spot.x, spot.y);
      await painted(page);
    }
  }
  await page.screenshot({ path: String(options.screenshot), fullPage: url.endsWith(".svg") });
}

if (files.length === 0) {
  console.log("usage: check-page.mjs FILE.html|FILE.svg… [--screenshot=OUT.png] [--width=…] [--height=…] [--dark]");
  process.exit(2);
}
const executablePath = browserPath(), { chromium } = playwright();
let browser;
try {
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
} catch (error) {
  skip(`${executablePath} does not start: ${error.message.split("\n")[0]}`);
}
let well = true;
for (const file of files) well = (await check(browser, file)) && well;
await browser.close();
process.exit(well ? 0 : 1);
