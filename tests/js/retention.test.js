import assert from "node:assert/strict";
import { test } from "node:test";
import { client, newId, newThread, refused } from "./suite.js";

async function withHistory() {
  const threadId = await newThread();
  await client.runs.wait(threadId, "three", { input: { log: [] } });
  return threadId;
}

test("prune removes threads", async () => {
  const [one, two, kept] = [await withHistory(), await withHistory(), await withHistory()];
  assert.deepEqual(await client.threads.prune([one, two, newId()]), { pruned_count: 2 });
  for (const gone of [one, two]) await refused(client.threads.get(gone), 404);
  assert.equal((await client.threads.get(kept)).status, "idle");
});

test("prune keeps the latest state", async () => {
  const threadId = await withHistory();
  const before = await client.threads.getState(threadId);
  assert.deepEqual(await client.threads.prune([threadId], { strategy: "keep_latest" }), { pruned_count: 1 });
  const history = await client.threads.getHistory(threadId);
  assert.deepEqual(history.map((state) => state.checkpoint), [before.checkpoint]);
  assert.deepEqual(history[0].values, before.values);
  const values = await client.runs.wait(threadId, "three", { input: { log: ["more"] } });
  assert.deepEqual(values.log, [...before.values.log, "more", "one", "two", "three"]);
  await refused(client.threads.prune([threadId], { strategy: "nonsense" }), 422);
});

test("a thread tells how long it lives", async () => {
  const ttlOf = async (threadId) => {
    const { ttl } = await client.threads.get(threadId, { include: ["ttl"] });
    return ttl && [ttl.strategy, ttl.ttl_minutes];
  };
  const threadId = await newThread({ ttl: 5 });
  assert.deepEqual(await ttlOf(threadId), ["delete", 5]);
  assert.equal((await client.threads.get(threadId)).ttl, undefined);
  await client.threads.update(threadId, { metadata: {}, ttl: { ttl: 10, strategy: "keep_latest" } });
  assert.deepEqual(await ttlOf(threadId), ["keep_latest", 10]);
  assert.ok(!(await ttlOf(await newThread())), "for ever");
  await refused(newThread({ ttl: -1 }), 422);
});
