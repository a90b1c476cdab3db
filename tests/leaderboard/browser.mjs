// What a reader does on the page, in a real browser. Prints {check: null | error}.
//   node browser.mjs CHROMIUM NODE_MODULES SITE URL
import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [chromium, modules, site, served] = process.argv.slice(2);
const require = createRequire(path.join(modules, "x.js"));
const playwright = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const index = pathToFileURL(path.join(site, "index.html")).href;
const model = pathToFileURL(path.join(site, "m", readdirSync(path.join(site, "m")).filter((name) => name.length === "0".repeat(32).length + 5).sort()[0])).href;
const published = pathToFileURL(path.join(site, "published.html")).href;

const long = pathToFileURL(path.join(site, "long.html")).href;

const browser = await playwright.chromium.launch({ executablePath: chromium, args: ["--no-sandbox"] });
const results = {};

async function check(name, options, body) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const noise = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && noise.push(message.text()));
  page.on("pageerror", (error) => noise.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("file:") && !url.startsWith("data:") && !url.startsWith(served)) noise.push(`request ${url}`);
  });
  try {
    await body(page, context);
    assert.deepEqual(noise, []);
    results[name] = null;
  } catch (error) {
    results[name] = String(error.message || error).slice(0, 2000);
  }
  await context.close();
}

const names = (page) => page.$$eval("tbody.ranked tr[data-id]:not([hidden]) th a", (all) => all.map((a) => a.textContent));
const column = async (page, key) => {
  const at = await page.$$eval("table.main thead th", (all, key) => all.findIndex((th) => th.dataset.key === key), key);
  return page.$$eval("tbody.ranked tr[data-id]:not([hidden])", (rows, at) => rows.map((r) => r.cells[at].textContent.trim()), at);
};
const press = (page, key) => page.click(`table.main thead th[data-key="${key}"] button`);

await check("no script", { javaScriptEnabled: false }, async (page) => {
  await page.goto(index);
  assert.ok((await names(page)).length >= 3);
  assert.equal(await page.isVisible("#filters"), false);
  assert.equal(await page.isVisible("tbody.controls"), true);
  assert.ok((await page.$$("svg.chart")).length >= 4);
});

for (const [where, url] of [["file", index], ["http", served + "index.html"]]) {
  await check(`sort, back and permalink over ${where}`, {}, async (page, context) => {
    await page.goto(url);
    const original = await names(page);
    await press(page, "utility");
    const down = (await column(page, "utility")).map(Number);
    assert.deepEqual(down, [...down].sort((a, b) => b - a));
    assert.equal(await page.getAttribute('th[data-key="utility"]', "aria-sort"), "descending");
    await press(page, "utility");
    const up = (await column(page, "utility")).map(Number);
    assert.deepEqual(up, [...up].sort((a, b) => a - b));
    const sorted = await names(page);
    assert.match(page.url(), /[?#].*sort=utility&dir=asc/);
    const other = await context.newPage();
    await other.goto(page.url());
    assert.deepEqual(await names(other), sorted);
    assert.equal(await other.getAttribute('th[data-key="utility"]', "aria-sort"), "ascending");
    await page.goBack();
    assert.deepEqual((await column(page, "utility")).map(Number), down);
    await page.goBack();
    assert.deepEqual(await names(page), original);
    await page.goForward();
    assert.deepEqual((await column(page, "utility")).map(Number), down);
  });
}

await check("missing values sort last both ways", {}, async (page) => {
  await page.goto(index);
  for (const direction of ["descending", "ascending"]) {
    await press(page, "rank");
    const at = await page.$$eval("table.main thead th", (all) => all.findIndex((th) => th.dataset.key === "score"));
    await press(page, "score");
    if (direction === "ascending") await press(page, "score");
    const shown = await page.$$eval("tbody.unranked tr[data-id]", (rows, at) => rows.map((r) => r.cells[at].textContent.trim()), at);
    assert.equal(shown.at(-1), "–");
    assert.notEqual(shown[0], "–");
  }
});

await check("filters", {}, async (page) => {
  await page.goto(index);
  const all = (await names(page)).length;
  await page.selectOption('[name="grade"]', "hybrid");
  const some = await names(page);
  assert.ok(some.length > 0 && some.length < all);
  assert.ok((await column(page, "grade")).every((text) => text.includes("hybrid")));
  assert.match(await page.textContent("#count"), /^\d+ rows?$/);
  await page.selectOption('[name="grade"]', "");
  await page.fill('[name="q"]', some[0]);
  assert.ok((await names(page)).includes(some[0]));
  assert.ok((await names(page)).length < all);
  await page.fill('[name="q"]', "nothing is called like this");
  assert.deepEqual(await names(page), []);
  await page.click('button[type="reset"]');
  assert.equal((await names(page)).length, all);
  await page.selectOption('[name="attack"]', "gptq4");
  assert.equal(await page.isVisible('th[data-key="a:none"]'), false);
  assert.equal(await page.isVisible('th[data-key="a:gptq4"]'), true);
  await page.goBack();
  assert.equal(await page.isVisible('th[data-key="a:none"]'), true);
});

await check("compare two rows", {}, async (page) => {
  await page.goto(index);
  const boxes = await page.$$("tbody.ranked input.pick");
  await boxes[0].check();
  assert.match(await page.textContent("#compare"), /Tick a second row/);
  await boxes[1].check();
  const told = await page.textContent("#compare");
  assert.match(told, /difference/);
  assert.match(told, /rub leaderboard compare [0-9a-f]{32} [0-9a-f]{32}/);
  const cells = await page.$$eval("#compare tbody tr:first-child td", (all) => all.map((td) => Number(td.textContent)));
  assert.ok(Math.abs(cells[0] - cells[1] - cells[2]) < 0.06);
  await page.reload();
  assert.equal(await page.isVisible("#compare"), true);
  await page.click("#compare button");
  assert.equal(await page.isVisible("#compare"), false);
});

await check("a thousand rows are there within a second", {}, async (page) => {
  const seconds = [];
  for (let i = 0; i < 5; i++) {
    const from = performance.now();
    await page.goto(long, { waitUntil: "domcontentloaded" });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
    seconds.push((performance.now() - from) / 1000);
  }
  console.error(`1,000 rows drawn in ${seconds.map((s) => s.toFixed(2)).join(", ")} s`);
  assert.ok(Math.min(...seconds) < 1, seconds.join(" "));
  assert.equal((await names(page)).length, 100);
  const all = await page.$$eval("tbody.ranked tr[data-id] th a", (links) => links.map((a) => a.textContent));
  assert.equal(all.length, 1000);
  assert.equal((await page.textContent("#count")), "1002 rows"); // and the two controls
  await press(page, "score");
  await press(page, "score");
  assert.deepEqual((await names(page))[0], all.at(-1)); // sorted over all of them
  await page.fill('[name="q"]', all.at(-1));
  assert.deepEqual(await names(page), [all.at(-1)]);
  await page.fill('[name="q"]', "");
  await page.click("text=Show 900 more");
  assert.equal((await names(page)).length, 1000);
  assert.match(page.url(), /all=1/);
  await page.goBack();
  assert.equal((await names(page)).length, 100);
});

await check("a thousand rows without script", { javaScriptEnabled: false }, async (page) => {
  await page.goto(long);
  assert.equal(await page.locator("tbody.ranked tr[data-id]").filter({ visible: true }).count(), 1000);
});

await check("keyboard alone", {}, async (page) => {
  await page.goto(index);
  await page.focus('th[data-key="score"] button');
  await page.keyboard.press("Enter");
  assert.equal(await page.getAttribute('th[data-key="score"]', "aria-sort"), "descending");
});

await check("links lead to the model's page and back", {}, async (page) => {
  await page.goto(index);
  const name = (await names(page))[0];
  await page.click("tbody.ranked tr[data-id] th a");
  assert.equal(await page.textContent("h1"), name);
  await page.click(".crumb a");
  assert.equal(await page.textContent("h1"), "Robust unlearning leaderboard");
  for (const [key, there] of [["a:none", /#none$/], ["a:relearn", /#relearn(10|20|50)$/], ["says", /#says$/], ["holds", /#holds$/]]) {
    const at = await page.$$eval("table.main thead th", (all, key) => all.findIndex((th) => th.dataset.key === key), key);
    await page.locator("tbody.ranked tr[data-id]").first().locator(":scope > *").nth(at).locator("a").click();
    assert.match(page.url(), there);
    await page.goBack();
  }
});

for (const [name, url] of [["index", index], ["model", model], ["published", published]]) {
  await check(`${name} fits 320 px`, { viewport: { width: 320, height: 800 } }, async (page) => {
    await page.goto(url);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
  });
  for (const colorScheme of ["light", "dark"]) {
    await check(`${name} is accessible in ${colorScheme} mode`, { colorScheme }, async (page) => {
      await page.goto(url);
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const brightness = background.match(/\d+/g).map(Number)[0];
      assert.equal(brightness > 128, colorScheme === "light");
      await page.evaluate(axe);
      const found = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
      const serious = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
      assert.deepEqual(serious.map((v) => `${v.id}: ${v.nodes.length} × ${v.nodes[0].html.slice(0, 160)}`), []);
    });
  }
}

await check("print", {}, async (page) => {
  await page.goto(index);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.isVisible("#filters"), false);
  assert.ok((await page.pdf({ landscape: true, format: "A4" })).length > 10_000);
});

await browser.close();
console.log(JSON.stringify(results));
