// A component of the agent's own, which the page loads with `LoadExternalComponent`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser } from "./browser.js";

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser?.stop());

const card = (selector) => document.querySelector(".card > div")?.shadowRoot?.querySelector(selector);

test("a component of the agent's is shown on the page, styled and alive", { timeout: 240_000 }, async () => {
  const tab = await browser.open("cards");
  const shows = (selector, text) =>
    tab.until(
      (find, where, wanted) => new Function(`return ${find}`)()(where)?.textContent.includes(wanted),
      String(card), selector, text,
    );
  try {
    await tab.send("how is the weather?");
    await shows("h2", "Oslo");
    await shows("p", "4 degrees, 2 messages");
    await tab.settled("Here is the weather");
    await tab.page.evaluate((find) => new Function(`return ${find}`)()("button").click(), String(card));
    await shows("button", "liked 1");
    await tab.until((find) => getComputedStyle(new Function(`return ${find}`)()(".weather-card")).color === "rgb(1, 2, 3)", String(card));
    const made = await tab.page.evaluate((find) => {
      const { borderTopStyle, borderTopWidth, boxShadow } = getComputedStyle(new Function(`return ${find}`)()(".weather-card"));
      return [borderTopStyle, borderTopWidth, boxShadow !== "none"];
    }, String(card));
    assert.deepEqual(made, ["solid", "1px", true], "Tailwind's classes work below the shadow root");

    // The component is still there after a reload: the thread's state holds it.
    await tab.page.reload();
    await shows("p", "4 degrees, 2 messages");
    const files = tab.requests.map((request) => new URL(request.url()).pathname).filter((path) => /^\/ui\/cards\/[0-9a-f]{64}\.(js|css)$/.test(path));
    assert.ok(files.some((path) => path.endsWith(".js")) && files.some((path) => path.endsWith(".css")), String(files));
    assert.deepEqual(tab.complaints, []);
  } finally {
    await tab.close();
  }
});
