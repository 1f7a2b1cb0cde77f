// A page with `useStream` of `@langchain/langgraph-sdk/react`.

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

/** A test with a tab of its own. */
function onPage(name, graph, options, scenario) {
  test(name, { timeout: 240_000 }, async () => {
    const tab = await browser.open(graph, options);
    try {
      await scenario(tab);
    } finally {
      await tab.close();
    }
  });
}

const runsOf = (tab) => client.runs.list(tab.threadId);

async function runEnds(tab, status) {
  for (;;) {
    const [run] = await runsOf(tab);
    if (!["pending", "running"].includes(run.status)) return assert.equal(run.status, status);
    await sleep(100);
  }
}

onPage("a message is answered word by word", "slow_chat", {}, async (tab) => {
  await tab.send("hi");
  await tab.settled(ANSWER);
  assert.deepEqual(await tab.seen(), ["Good", "Good day", "Good day to", ANSWER]);
  assert.deepEqual(await tab.messages(), ["hi", ANSWER]);
  await tab.send("again");
  await tab.until(() => document.querySelectorAll(".message").length === 4);
  await tab.settled(ANSWER);
  assert.deepEqual(await tab.messages(), ["hi", ANSWER, "again", ANSWER]);
  assert.deepEqual(tab.complaints, []);
});

onPage("every call crosses origins, with headers that need leave", "chat", {}, async (tab) => {
  await tab.send("hi");
  await tab.settled(ANSWER);
  const calls = tab.requests.filter((request) => new URL(request.url()).pathname.startsWith("/threads"));
  assert.ok(calls.length >= 3, "creates a thread, streams a run, reads the history");
  for (const call of calls.filter((one) => one.method() !== "OPTIONS")) {
    assert.equal(call.headers()["x-api-key"], "not-a-secret");
    assert.equal(call.headers()["x-auth-scheme"], "langsmith-api-key");
    assert.notEqual(new URL(call.url()).origin, new URL(tab.page.url()).origin);
  }
});

onPage("a question is answered on the page", "question", {}, async (tab) => {
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

onPage("a question is still there when the page comes back", "question", {}, async (tab) => {
  await tab.send('{"log": []}');
  await tab.shows(".question", "go on?");
  await tab.settled();
  await tab.page.reload();
  await tab.shows(".question", "go on?");
  await tab.page.type("#answer", "yes");
  await tab.click("#resume");
  await tab.shows("#values", '"reply":"yes"');
});

for (const [way, options] of [["by its connection", {}], ["by a call, when runs outlive their page", { reconnect: "1" }]]) {
  onPage(`the stop button cancels the run ${way}`, "slow", options, async (tab) => {
    await tab.send('{"secs": 90, "log": []}');
    await tab.shows("#values", '"one"');
    await tab.click("#stop");
    await tab.settled();
    await runEnds(tab, "interrupted");
    assert.equal((await runsOf(tab)).length, 1);
  });
}

onPage("an edited question opens a branch, and one can go back", "chat", {}, async (tab) => {
  await tab.send("hi");
  await tab.settled(ANSWER);
  await tab.click(".edit");
  await tab.shows(".place", "2/2");
  await tab.settled(ANSWER);
  assert.deepEqual(await tab.messages(), ["hi, edited", ANSWER]);
  await tab.click(".previous");
  await tab.shows(".place", "1/2");
  assert.deepEqual(await tab.messages(), ["hi", ANSWER]);
  await tab.click(".next");
  await tab.shows(".place", "2/2");
  assert.deepEqual(await tab.messages(), ["hi, edited", ANSWER]);
});

onPage("an answer made again is a branch, also after a reload", "chat", {}, async (tab) => {
  await tab.send("hi");
  await tab.settled(ANSWER);
  await tab.click(".regenerate");
  await tab.shows(".place", "2/2");
  await tab.settled(ANSWER);
  assert.deepEqual(await tab.messages(), ["hi", ANSWER]);
  await tab.page.reload();
  await tab.shows(".place", "2/2");
  assert.deepEqual(await tab.messages(), ["hi", ANSWER]);
  await tab.send("more");
  await tab.until(() => document.querySelectorAll(".message").length === 4);
  await tab.settled(ANSWER);
  assert.deepEqual(await tab.messages(), ["hi", ANSWER, "more", ANSWER]);
});

onPage("a page that is loaded again while a run is on sees it through", "long_chat", { reconnect: "1" }, async (tab) => {
  await tab.send("hi");
  await tab.until(() => window.seen.length >= 2);
  await tab.page.reload();
  await tab.settled(LONG_ANSWER);
  const seen = await tab.seen();
  assert.ok(seen.length > 2, `words kept coming after the reload: ${JSON.stringify(seen)}`);
  assert.deepEqual(await tab.messages(), ["hi", LONG_ANSWER]);
  assert.deepEqual((await runsOf(tab)).map((run) => run.status), ["success"]);
});

test("a page whose connection breaks takes the run up again", { timeout: 240_000 }, async () => {
  const link = await startLink();
  const tab = await browser.open("long_chat", { url: link.url, reconnect: "1" });
  try {
    await tab.send("hi");
    await tab.until(() => window.seen.length >= 2);
    link.cut();
    await tab.settled(LONG_ANSWER);
    const seen = await tab.seen();
    assert.deepEqual(seen, [...new Set(seen)], "no text came twice");
    assert.deepEqual(await tab.messages(), ["hi", LONG_ANSWER]);
    assert.deepEqual((await runsOf(tab)).map((run) => run.status), ["success"]);
    assert.ok(tab.requests.some((request) => "last-event-id" in request.headers()), "it came back for the rest");
  } finally {
    await tab.close();
    link.stop();
  }
});

onPage("a page that is loaded again after the run shows all of it", "chat", { reconnect: "1" }, async (tab) => {
  await tab.send("hi");
  await tab.settled(ANSWER);
  await tab.page.reload();
  await tab.settled(ANSWER);
  assert.deepEqual(await tab.messages(), ["hi", ANSWER]);
});

onPage("an error is shown", "failing", {}, async (tab) => {
  await tab.send('{"kind": "runtime"}');
  await tab.shows("#error", "bad runtime");
  await tab.settled();
  assert.equal((await client.threads.get(tab.threadId)).status, "error");
});

onPage("a graph that does not exist is an error on the page", "nobody", {}, async (tab) => {
  await tab.send("hi");
  await tab.shows("#error", "nobody");
  await tab.settled();
});
