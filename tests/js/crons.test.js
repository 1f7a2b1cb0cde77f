import assert from "node:assert/strict";
import { test } from "node:test";
import { client, newId, newThread, refused, until } from "./suite.js";

const YEARLY = "0 0 1 1 *";
const EVERY_SECOND = "* * * * * *";

test("create, search, count, update, delete", async () => {
  const metadata = { mark: newId() };
  const made = await client.crons.create("three", {
    schedule: YEARLY,
    timezone: "Europe/Berlin",
    endTime: "2100-01-01T00:00:00+00:00",
    input: { log: [] },
    metadata,
    onRunCompleted: "keep",
  });
  const [cron] = await client.crons.search({ metadata });
  assert.equal(cron.cron_id, made.cron_id);
  assert.deepEqual(
    [cron.schedule, cron.timezone, cron.thread_id, cron.enabled, cron.on_run_completed],
    [YEARLY, "Europe/Berlin", null, true, "keep"],
  );
  assert.equal(Date.parse(cron.end_time), Date.UTC(2100, 0, 1));
  const next = new Date(cron.next_run_date);
  assert.deepEqual([next.getUTCMonth(), next.getUTCDate(), next.getUTCHours()], [11, 31, 23], "midnight in Berlin");

  const other = await client.crons.create("three", { schedule: YEARLY, metadata, enabled: false });
  assert.equal(await client.crons.count({ metadata }), 2);
  assert.equal(await client.crons.count({ metadata, threadId: newId() }), 0);
  const selected = await client.crons.search({ metadata, enabled: true, select: ["cron_id"] });
  assert.deepEqual(selected, [{ cron_id: cron.cron_id }]);
  const sorted = await client.crons.search({ metadata, sortBy: "created_at", sortOrder: "asc", limit: 1, offset: 1 });
  assert.deepEqual(sorted.map((one) => one.cron_id), [other.cron_id]);

  const change = { schedule: "30 6 * * *", timezone: "UTC", metadata: { more: 1 }, enabled: false };
  const changed = await client.crons.update(cron.cron_id, change);
  assert.deepEqual([changed.schedule, changed.enabled], ["30 6 * * *", false]);
  assert.deepEqual(changed.metadata, { ...metadata, more: 1 });
  const morning = new Date(changed.next_run_date);
  assert.deepEqual([morning.getUTCHours(), morning.getUTCMinutes()], [6, 30]);

  for (const { cron_id } of [cron, other]) await client.crons.delete(cron_id);
  assert.equal(await client.crons.count({ metadata }), 0);
  await refused(client.crons.delete(cron.cron_id), 404);
  await refused(client.crons.update(cron.cron_id, { enabled: true }), 404);
  await refused(client.crons.create("three", { schedule: "bad" }), 422);
  await refused(client.crons.create("nope", { schedule: YEARLY }), 404);
});

test("a thread's cron runs on its thread, until it is switched off", async () => {
  const threadId = await newThread();
  const { cron_id } = await client.crons.createForThread(threadId, "three", {
    schedule: EVERY_SECOND,
    input: { log: ["due"] },
  });
  assert.deepEqual((await client.crons.search({ threadId })).map((one) => one.cron_id), [cron_id]);
  await until(async () => (await client.runs.list(threadId, { status: "success" })).length > 0);
  assert.equal((await client.crons.update(cron_id, { enabled: false })).enabled, false);
  assert.deepEqual((await client.threads.getState(threadId)).values.log.slice(0, 4), ["due", "one", "two", "three"]);
  await client.threads.delete(threadId);
  assert.equal(await client.crons.count({ threadId }), 0, "a thread takes its crons along");
  await refused(client.crons.createForThread(threadId, "three", { schedule: YEARLY }), 404);
});
