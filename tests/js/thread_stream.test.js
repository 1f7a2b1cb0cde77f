import assert from "node:assert/strict";
import { test } from "node:test";
import { all, client, events, finished, newThread, sleep, streamRefused, upTo } from "./suite.js";

const isOver = (part) => part.event === "metadata" && part.data.status === "run_done";

/** The events of the thread until its next run ends. */
async function listen(threadId, options) {
  // The stream never ends by itself, and the connection stays open after the loop, so node would not exit.
  const stop = new AbortController();
  try {
    return await upTo(client.threads.joinStream(threadId, { ...options, signal: stop.signal }), isOver);
  } finally {
    stop.abort();
  }
}

async function run(threadId, streamResumable) {
  const options = { input: { log: [] }, streamMode: "values", streamResumable };
  return finished(await client.runs.create(threadId, "three", options));
}

test("joinStream hears a run, and replays what was kept", async () => {
  const threadId = await newThread();
  const listening = Promise.all(["run_modes", "lifecycle"].map((streamMode) => listen(threadId, { streamMode })));
  await sleep(1000);
  const { run_id } = await run(threadId, true);
  const [heard, lifecycle] = await listening;
  assert.deepEqual(events(heard), ["metadata", "values", "values", "values", "values", "metadata"]);
  assert.deepEqual(lifecycle.map((part) => [part.event, part.data.run_id]), Array(2).fill(["metadata", run_id]));
  assert.deepEqual(await listen(threadId, { lastEventId: "-" }), heard);
  assert.deepEqual(await listen(threadId, { lastEventId: heard[2].id }), heard.slice(3));
});

test("joinStream ends with its thread", async () => {
  const threadId = await newThread();
  const listening = all(client.threads.joinStream(threadId));
  await sleep(1000);
  await client.threads.delete(threadId);
  await listening;
});

test("joinStream refuses what it does not know", async () => {
  const threadId = await newThread();
  await streamRefused(client.threads.joinStream(threadId, { streamMode: "bogus" }), 422);
  await streamRefused(client.threads.joinStream(threadId, { lastEventId: "abc" }), 422);
});
