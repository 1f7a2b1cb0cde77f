// A page with the `useStream` of `@langchain/react`, which speaks the event streaming protocol.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { client, startBrowser } from "./browser.js";
import { startLink } from "./link.js";

const ANSWER = "Good day to you";
const LONG_ANSWER = "One day I will tell you everything that I know about the weather";

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser?.stop());

/** A test over each transport, with a tab of its own. */
function onPage(name, graph, scenario) {
  for (const transport of ["sse", "websocket"]) {
    test(`${name}, ${transport}`, { timeout: 240_000 }, async () => {
      const tab = await browser.open(graph, { hook: "protocol", transport });
      try {
        await scenario(tab);
      } finally {
        await tab.close();
      }
    });
  }
}

onPage("a message is answered word by word", "slow_chat", async (tab) => {
  await tab.send("hi");
  await tab.settled(ANSWER);
  const seen = await tab.seen();
  assert.ok(seen.length >= 3, `the words came one after the other: ${JSON.stringify(seen)}`);
  await tab.send("again");
  await tab.until(() => document.querySelectorAll(".message").length === 4);
  await tab.settled(ANSWER);
  assert.deepEqual(await tab.messages(), ["hi", ANSWER, "again", ANSWER]);
});

onPage("a question is answered on the page", "question", async (tab) => {
  await tab.send('{"log": []}');
  await tab.shows(".question", "go on?");
  await tab.settled();
  await tab.page.type("#answer", "by all means");
  await tab.click("#resume");
  await tab.shows("#values", '"reply":"by all means"');
  await tab.settled();
  await tab.until(() => document.querySelector(".question") === null);
  assert.equal((await client.threads.get(tab.threadId)).status, "idle");
});

onPage("a question is still there when the page comes back", "question", async (tab) => {
  await tab.send('{"log": []}');
  await tab.shows(".question", "go on?");
  await tab.settled();
  await tab.page.reload();
  await tab.shows(".question", "go on?");
  await tab.page.type("#answer", "yes");
  await tab.click("#resume");
  await tab.shows("#values", '"reply":"yes"');
});

onPage("tool calls are shown", "tool_agent", async (tab) => {
  await tab.send("what is six times seven?");
  await tab.shows(".tool", "multiply");
  await tab.settled();
});

onPage("the stop button cancels the run", "slow", async (tab) => {
  await tab.send('{"secs": 90, "log": []}');
  await tab.shows("#values", '"one"');
  await tab.click("#stop");
  await tab.settled();
  let run;
  do {
    await sleep(100);
    [run] = await client.runs.list(tab.threadId);
  } while (["pending", "running"].includes(run.status));
  assert.equal(run.status, "interrupted");
});

onPage("an error is shown", "failing", async (tab) => {
  await tab.send('{"kind": "runtime"}');
  await tab.shows("#error", "bad runtime");
  await tab.settled();
});

for (const transport of ["sse", "websocket"]) {
  test(`a page whose connection breaks takes the thread up again, ${transport}`, { timeout: 240_000 }, async () => {
    const link = await startLink();
    const tab = await browser.open("long_chat", { hook: "protocol", transport, url: link.url });
    try {
      await tab.send("hi");
      await tab.until(() => window.seen.length >= 2);
      link.cut();
      await tab.settled(LONG_ANSWER);
      assert.deepEqual(await tab.messages(), ["hi", LONG_ANSWER]);
    } finally {
      await tab.close();
      link.stop();
    }
  });
}
