import assert from "node:assert/strict";
import { test } from "node:test";
import { UUID, client, newId, newThread, refused } from "./suite.js";

test("create, get, update, delete", async () => {
  const thread = await client.threads.create({ metadata: { a: 1, b: { c: 1 } } });
  assert.match(thread.thread_id, UUID);
  assert.deepEqual([thread.status, thread.values, thread.metadata], ["idle", null, { a: 1, b: { c: 1 } }]);
  assert.deepEqual(await client.threads.get(thread.thread_id), thread);
  const changed = await client.threads.update(thread.thread_id, { metadata: { b: { d: 2 }, e: 3 } });
  assert.deepEqual(changed.metadata, { a: 1, b: { d: 2 }, e: 3 });
  assert.equal(await client.threads.update(thread.thread_id, { metadata: { f: 4 }, returnMinimal: true }), undefined);
  assert.equal((await client.threads.get(thread.thread_id)).metadata.f, 4);
  await client.threads.delete(thread.thread_id);
  await refused(client.threads.get(thread.thread_id), 404);
  await refused(client.threads.delete(thread.thread_id), 404);
  await refused(client.threads.update(thread.thread_id, { metadata: {} }), 404);
});

test("the same id twice", async () => {
  const threadId = newId();
  const first = await client.threads.create({ threadId, metadata: { n: 1 } });
  assert.equal(first.thread_id, threadId);
  await refused(client.threads.create({ threadId }), 409);
  const kept = await client.threads.create({ threadId, metadata: { n: 2 }, ifExists: "do_nothing" });
  assert.deepEqual(kept, first);
});

test("search filters, sorts, pages, selects and extracts", async () => {
  const metadata = { group: newId() };
  const ids = [];
  for (const n of [0, 1, 2]) ids.push(await newThread({ metadata: { ...metadata, n } }));
  const found = async (query) => (await client.threads.search({ metadata, ...query })).map((one) => one.thread_id);
  assert.deepEqual(await found({ sortBy: "created_at", sortOrder: "asc" }), ids);
  assert.deepEqual(await found({ sortBy: "created_at", sortOrder: "desc", limit: 2, offset: 1 }), [ids[1], ids[0]]);
  assert.deepEqual(await found({ metadata: { ...metadata, n: 1 } }), [ids[1]]);
  assert.deepEqual(await found({ ids: [ids[2]] }), [ids[2]]);
  assert.deepEqual(await found({ status: "interrupted" }), []);
  await client.runs.wait(ids[0], "three", { input: { log: ["zero"] } });
  assert.equal((await found({}))[0], ids[0], "the newest change comes first");
  assert.deepEqual(await found({ values: { log: ["zero", "one", "two", "three"] } }), [ids[0]]);
  assert.equal(await client.threads.count({ metadata }), 3);
  assert.equal(await client.threads.count({ metadata, values: { log: ["zero", "one", "two", "three"] } }), 1);
  assert.equal(await client.threads.count({ metadata, status: "busy" }), 0);
  const [selected] = await client.threads.search({ metadata, ids: [ids[0]], select: ["thread_id", "values"] });
  assert.deepEqual(Object.keys(selected).sort(), ["thread_id", "values"]);
  const [extracted] = await client.threads.search({ metadata, ids: [ids[0]], extract: { last: "values.log[-1]" } });
  assert.deepEqual(extracted.extracted, { last: "three" });
});

test("copy keeps every checkpoint", async () => {
  const threadId = await newThread({ metadata: { mark: newId() } });
  await client.runs.wait(threadId, "three", { input: { log: ["zero"] } });
  const copy = await client.threads.copy(threadId);
  assert.notEqual(copy.thread_id, threadId);
  const bare = (states, id) => JSON.parse(JSON.stringify(states).replaceAll(id, "T"));
  const [before, after] = await Promise.all([threadId, copy.thread_id].map((id) => client.threads.getHistory(id)));
  assert.equal(before.length, 5);
  assert.deepEqual(bare(after, copy.thread_id), bare(before, threadId));
  await client.runs.wait(copy.thread_id, "three", { input: { log: ["more"] } });
  assert.equal((await client.threads.getHistory(copy.thread_id, { limit: 50 })).length, 10);
  assert.equal((await client.threads.getHistory(threadId, { limit: 50 })).length, 5);
  await refused(client.threads.copy(newId()), 409);
});

test("created with supersteps it continues as if it had run", async () => {
  const supersteps = [
    { updates: [{ values: { log: ["in"] }, asNode: "__input__" }] },
    { updates: [{ values: { log: ["in"] }, asNode: "__start__" }] },
    { updates: [{ values: { log: ["made up"] }, asNode: "one" }] },
  ];
  const threadId = await newThread({ graphId: "three", supersteps });
  const history = await client.threads.getHistory(threadId);
  assert.deepEqual(
    history.map((state) => [state.metadata.step, state.metadata.source, state.next, state.values.log ?? []]),
    [
      [1, "update", ["two"], ["in", "made up"]],
      [0, "update", ["one"], ["in"]],
      [-1, "input", ["__start__"], []],
    ],
  );
  const values = await client.runs.wait(threadId, "three", { input: null });
  assert.deepEqual(values.log, ["in", "made up", "two", "three"]);
});

test("a finished run's history replays on another thread", async () => {
  const original = await newThread();
  await client.runs.wait(original, "three", { input: { log: ["zero"] } });
  const history = await client.threads.getHistory(original);
  const supersteps = history
    .toReversed()
    .map((state) => ({ updates: state.tasks.map((task) => ({ values: task.result, asNode: task.name })) }))
    .filter((step) => step.updates.length > 0);
  supersteps.unshift({ updates: [{ values: { log: ["zero"] }, asNode: "__input__" }] });
  const replayed = await newThread({ graphId: "three", supersteps });
  const shape = (states) => states.map((state) => [state.metadata.step, state.next, state.values.log]);
  assert.deepEqual(shape(await client.threads.getHistory(replayed)), shape(history));
});
