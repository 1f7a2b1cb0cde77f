import assert from "node:assert/strict";
import { test } from "node:test";
import { all, atStep, client, dataOf, events, finished, newClient, newThread, sleep, upTo } from "./suite.js";

const input = { log: [] };
const modes = { streamMode: ["values", "updates", "custom"], streamResumable: true };

test("a join of a run that is silent for more than twelve seconds", { timeout: 180_000 }, async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "slow", { input: { secs: 12.5, log: [] } });
  const [values, parts] = await Promise.all([
    client.runs.join(threadId, run.run_id),
    all(client.runs.joinStream(threadId, run.run_id)),
  ]);
  assert.deepEqual(values.log, ["one", "slept", "three"]);
  assert.deepEqual(parts.at(-1).data.log, ["one", "slept", "three"]);
  assert.equal((await client.runs.get(threadId, run.run_id)).status, "success");
});

test("a wait and a stream that are silent for more than twelve seconds", { timeout: 180_000 }, async () => {
  const payload = { input: { secs: 12.5, log: [] } };
  const [values, parts] = await Promise.all([
    client.runs.wait(null, "slow", payload),
    all(client.runs.stream(null, "slow", { ...payload, streamMode: "updates" })),
  ]);
  assert.deepEqual(values.log, ["one", "slept", "three"]);
  assert.equal(dataOf(parts, "updates").length, 3);
});

test("joined from the start it tells the same as live", async () => {
  const threadId = await newThread();
  let runId;
  const onRunCreated = (ids) => (runId = ids.run_id);
  const live = await all(client.runs.stream(threadId, "three", { input, ...modes, onRunCreated }));
  const joined = await all(client.runs.joinStream(threadId, runId, { lastEventId: "-1" }));
  assert.deepEqual(joined, live);
  assert.ok(live.every((part) => part.id), "every event of a resumable run has an id");
});

test("joined after an event it tells what came later", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "three", { input, ...modes });
  const whole = await all(client.runs.joinStream(threadId, run.run_id, { lastEventId: "-1" }));
  for (const n of [0, 3, whole.length - 1]) {
    const rest = await all(client.runs.joinStream(threadId, run.run_id, { lastEventId: whole[n].id }));
    assert.deepEqual(rest, whole.slice(n + 1));
  }
});

test("left in the middle and joined again: every event once", async () => {
  const threadId = await newThread();
  const payload = { input: { secs: 2, log: [] }, ...modes, onDisconnect: "continue" };
  const first = await upTo(client.runs.stream(threadId, "slow", payload), (part) => part.event === "updates");
  const runId = first[0].data.run_id;
  const rest = await all(client.runs.joinStream(threadId, runId, { lastEventId: first.at(-1).id }));
  const whole = await all(client.runs.joinStream(threadId, runId, { lastEventId: "-1" }));
  assert.deepEqual([...first, ...rest], whole);
});

test("only some modes", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "three", { input, ...modes });
  const joined = (streamMode) => all(client.runs.joinStream(threadId, run.run_id, { lastEventId: "-1", streamMode }));
  assert.deepEqual(events(await joined("custom")), ["custom", "custom", "custom"]);
  assert.deepEqual(new Set(events(await joined(["custom", "updates"]))), new Set(["custom", "updates"]));
});

test("many readers of one run", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "slow", { input: { secs: 1, log: [] }, ...modes });
  const read = () => all(client.runs.joinStream(threadId, run.run_id, { lastEventId: "-1" }));
  const [one, ...others] = await Promise.all(Array.from({ length: 10 }, read));
  assert.equal(dataOf(one, "updates").length, 3);
  for (const other of others) assert.deepEqual(other, one);
});

test("a run that is over is left at once, with and without replay", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "three", { input });
  await client.runs.join(threadId, run.run_id);
  assert.deepEqual(dataOf(await all(client.runs.joinStream(threadId, run.run_id)), "values"), []);
  assert.deepEqual((await client.runs.join(threadId, run.run_id)).log, ["one", "two", "three"]);
});

test("created, then joined: the error comes through", async () => {
  const threadId = await newThread();
  for (const streamResumable of [true, false]) {
    const payload = { input: { secs: 1, log: [] }, streamMode: "values", streamResumable };
    const slow = await client.runs.create(threadId, "slow", payload);
    const failing = await client.runs.create(threadId, "failing", { input: { kind: "runtime" }, streamResumable });
    const parts = await all(client.runs.joinStream(threadId, failing.run_id));
    assert.equal((await client.runs.get(threadId, slow.run_id)).status, "success");
    assert.deepEqual(dataOf(parts, "error"), [{ error: "RuntimeError", message: "bad runtime" }]);
  }
});

test("cancelOnDisconnect cancels when its reader leaves", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "slow", { input: { secs: 60, log: [] }, ...modes });
  const abort = new AbortController();
  const options = { cancelOnDisconnect: true, lastEventId: "-1", signal: abort.signal };
  // Only the signal closes the connection: the client keeps it open when the caller stops reading.
  await upTo(client.runs.joinStream(threadId, run.run_id, options), (part) => part.event === "updates");
  abort.abort();
  assert.equal((await finished(run)).status, "interrupted");
});

test("without it a reader that leaves changes nothing", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "slow", { input: { secs: 2, log: [] }, ...modes });
  const abort = new AbortController();
  const options = { lastEventId: "-1", signal: abort.signal };
  await upTo(client.runs.joinStream(threadId, run.run_id, options), (part) => part.event === "updates");
  abort.abort();
  assert.equal((await finished(run)).status, "success");
});

test("an aborted join with cancelOnDisconnect cancels", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "slow", { input: { secs: 60, log: [] } });
  await atStep(threadId, "one");
  const abort = new AbortController();
  const join = client.runs.join(threadId, run.run_id, { cancelOnDisconnect: true, signal: abort.signal });
  setTimeout(() => abort.abort(), 500);
  await assert.rejects(join);
  assert.equal((await finished(run)).status, "interrupted");
});

test("a connection that breaks is taken up again by the client itself", async () => {
  const threadId = await newThread();
  let cut = 0;
  // Drops the first connection in the middle of the run, as a proxy might.
  const callerOptions = {
    maxRetries: 0,
    fetch: async (target, init) => {
      const response = await fetch(target, init);
      if (!String(target).includes("/stream") || cut++ > 0) return response;
      let seen = "";
      const decoder = new TextDecoder();
      const breaking = new TransformStream({
        async transform(chunk, controller) {
          controller.enqueue(chunk);
          seen += decoder.decode(chunk, { stream: true });
          if (!seen.includes("event: updates")) return;
          // Destroying the stream loses unread data, and a client without any event has no id to resume from.
          await sleep(100);
          controller.error(new TypeError("network error"));
        },
      });
      const { status, headers } = response;
      return new Response(response.body.pipeThrough(breaking), { status, headers });
    },
  };
  const own = newClient({ callerOptions });
  const payload = { input: { secs: 2, log: [] }, ...modes, onDisconnect: "continue" };
  const parts = await all(own.runs.stream(threadId, "slow", payload));
  assert.ok(cut > 1, "the client came back");
  const whole = await all(client.runs.joinStream(threadId, parts[0].data.run_id, { lastEventId: "-1" }));
  assert.deepEqual(parts, whole);
});
