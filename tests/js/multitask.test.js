import assert from "node:assert/strict";
import { test } from "node:test";
import { atStep, client, finished, newThread, refused } from "./suite.js";

const SECOND = ["second", "one", "two", "three"];

/** A thread with state, and a run that sleeps after its first step while a second run is created. */
async function secondRun(multitaskStrategy, secs = 60) {
  const threadId = await newThread();
  await client.runs.wait(threadId, "three", { input: { log: ["zero"] } });
  const first = await client.runs.create(threadId, "slow", { input: { secs, log: ["first"] } });
  await atStep(threadId, "first");
  const begun = client.runs.create(threadId, "three", { input: { log: ["second"] }, multitaskStrategy });
  return { threadId, first, begun };
}

/** The log entries of the runs after the first one. */
const written = async (threadId) => (await client.threads.getState(threadId)).values.log.slice(4);

test("reject: the second is refused and the first goes on", async () => {
  const { threadId, first, begun } = await secondRun("reject");
  await refused(begun, 409);
  assert.equal((await client.runs.get(threadId, first.run_id)).status, "running");
  assert.equal((await client.runs.list(threadId)).length, 2);
  await client.runs.cancel(threadId, first.run_id, true);
});

test("enqueue: one after the other", async () => {
  const { threadId, first, begun } = await secondRun("enqueue", 2);
  assert.equal((await finished(await begun)).status, "success");
  assert.equal((await client.runs.get(threadId, first.run_id)).status, "success");
  assert.deepEqual(await written(threadId), ["first", "one", "slept", "three", ...SECOND]);
});

test("interrupt: the first is cut off and what it did stays", async () => {
  const { threadId, first, begun } = await secondRun("interrupt");
  assert.equal((await finished(await begun)).status, "success");
  assert.equal((await client.runs.get(threadId, first.run_id)).status, "interrupted");
  const log = await written(threadId);
  assert.deepEqual([log[0], ...log.slice(-4)], ["first", ...SECOND]);
});

test("rollback: the first never was", async () => {
  const { threadId, first, begun } = await secondRun("rollback");
  assert.equal((await finished(await begun)).status, "success");
  await refused(client.runs.get(threadId, first.run_id), 404);
  assert.deepEqual(await written(threadId), SECOND);
});
