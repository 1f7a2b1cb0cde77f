import assert from "node:assert/strict";
import { test } from "node:test";
import {
  HI, UUID, all, atStep, client, dataOf, finished, newClient, newId, newThread, refused, runStatus, until,
} from "./suite.js";

const input = { log: [] };
const DONE = ["one", "two", "three"];

test("create, get, join, list, delete", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "three", { input, metadata: { mark: 1 }, config: { tags: ["t"] } });
  assert.match(run.run_id, UUID);
  assert.deepEqual([run.thread_id, run.metadata.mark, run.multitask_strategy], [threadId, 1, "enqueue"]);
  assert.deepEqual((await client.runs.join(threadId, run.run_id)).log, DONE);
  const got = await client.runs.get(threadId, run.run_id);
  assert.equal(got.status, "success");
  assert.deepEqual(await client.runs.list(threadId), [got]);
  assert.deepEqual(await client.runs.list(threadId, { status: "error" }), []);
  assert.deepEqual(await client.runs.list(threadId, { offset: 1 }), []);
  assert.deepEqual(await client.runs.list(threadId, { select: ["run_id"] }), [{ run_id: run.run_id }]);
  assert.deepEqual((await client.threads.get(threadId)).config.tags, ["t"]);
  await client.runs.delete(threadId, run.run_id);
  await refused(client.runs.get(threadId, run.run_id), 404);
  await refused(client.runs.delete(threadId, run.run_id), 404);
});

test("runs are listed newest first", async () => {
  const threadId = await newThread();
  const ids = [];
  for (let n = 0; n < 3; n++) ids.unshift((await client.runs.create(threadId, "three", { input })).run_id);
  assert.deepEqual((await client.runs.list(threadId)).map((run) => run.run_id), ids);
  assert.deepEqual((await client.runs.list(threadId, { limit: 1, offset: 1 })).map((run) => run.run_id), [ids[1]]);
  await client.runs.join(threadId, ids[0]);
});

test("wait on a thread and without one", async () => {
  const threadId = await newThread();
  assert.deepEqual((await client.runs.wait(threadId, "three", { input })).log, DONE);
  assert.deepEqual((await client.runs.wait(null, "three", { input })).log, DONE);
  assert.deepEqual((await client.runs.wait(newId(), "three", { input, ifNotExists: "create" })).log, DONE);
});

test("onRunCreated tells the ids, however the run is started", async () => {
  const threadId = await newThread();
  const told = [];
  const payload = { input, onRunCreated: (ids) => told.push(ids) };
  const run = await client.runs.create(threadId, "three", payload);
  await client.runs.wait(threadId, "three", payload);
  await all(client.runs.stream(threadId, "three", payload));
  const runs = (await client.runs.list(threadId)).map((one) => one.run_id).reverse();
  assert.equal(run.run_id, runs[0]);
  assert.deepEqual(told, runs.map((run_id) => ({ run_id, thread_id: threadId })));
  told.length = 0;
  const parts = await all(client.runs.stream(null, "three", payload));
  await client.runs.wait(null, "three", payload);
  assert.deepEqual(told[0], { run_id: parts[0].data.run_id, thread_id: undefined });
  assert.match(told[1].run_id, UUID);
});

test("a stateless run in the background", async () => {
  const run = await client.runs.create(null, "three", { input, onCompletion: "keep" });
  assert.match(run.thread_id, UUID);
  assert.equal((await finished(run)).status, "success");
});

test("batch", async () => {
  const runs = await client.runs.createBatch([
    { assistantId: "three", input, metadata: { n: 1 } },
    { assistantId: "chat", input: HI, metadata: { n: 2 } },
  ]);
  assert.deepEqual(runs.map((run) => run.metadata.n), [1, 2]);
  assert.equal(new Set(runs.map((run) => run.thread_id)).size, 2);
});

test("an error is thrown by wait, or told as __error__", async () => {
  const threadId = await newThread();
  const failing = (payload) => client.runs.wait(threadId, "failing", { input: { kind: "runtime" }, ...payload });
  await assert.rejects(failing(), /^Error: RuntimeError: bad runtime$/);
  const told = await failing({ raiseError: false });
  assert.deepEqual(told.__error__, { error: "RuntimeError", message: "bad runtime" });
  const [run] = await client.runs.list(threadId);
  assert.equal(run.status, "error");
  assert.deepEqual((await client.runs.join(threadId, run.run_id)).__error__, told.__error__);
  const thread = await client.threads.get(threadId);
  assert.deepEqual([thread.status, thread.error], ["error", told.__error__]);
  const [task] = (await client.threads.getState(threadId)).tasks;
  assert.equal(task.error, "RuntimeError('bad runtime')");
});

test("the recursion limit is an error", async () => {
  const threadId = await newThread();
  const wait = client.runs.wait(threadId, "three", { input, config: { recursion_limit: 1 } });
  await assert.rejects(wait, /GraphRecursionError/);
  assert.equal((await client.threads.get(threadId)).status, "error");
});

test("what is refused before a run starts", async () => {
  const threadId = await newThread();
  for (const start of [
    (id, graph) => client.runs.create(id, graph, { input }),
    (id, graph) => client.runs.wait(id, graph, { input }),
    (id, graph) => all(client.runs.stream(id, graph, { input })),
  ]) {
    await refused(start(newId(), "three"), 404);
    await refused(start(threadId, newId()), 404);
    assert.match(await refused(start(threadId, "nobody"), 422), /nobody|three/);
  }
  await refused(client.runs.get(threadId, newId()), 404);
  await refused(client.runs.cancel(threadId, newId()), 404);
  assert.deepEqual(await client.runs.list(threadId), []);
});

test("config and context reach the graph", async () => {
  const { seen } = await client.runs.wait(null, "context_echo", {
    input: {},
    config: { configurable: { shape: "square" }, tags: ["t"], recursion_limit: 7 },
    metadata: { mark: "m" },
  });
  assert.equal(seen.configurable.shape, "square");
  assert.deepEqual([seen.recursion_limit, seen.metadata.mark], [7, "m"]);
  assert.ok(seen.tags.includes("t"));
  const withContext = await client.runs.wait(null, "context_echo", { input: {}, context: { model_name: "m" } });
  assert.deepEqual(withContext.seen.context, { model_name: "m" });
});

test("onRequest sees every request", async () => {
  const paths = [];
  const own = newClient({
    onRequest: (target, init) => {
      paths.push(`${init.method ?? "GET"} ${target.pathname}`);
      return init;
    },
  });
  const threadId = (await own.threads.create()).thread_id;
  await all(own.runs.stream(threadId, "three", { input }));
  assert.deepEqual(paths.slice(0, 2), ["POST /threads", `POST /threads/${threadId}/runs/stream`]);
});

test("cancel a run that runs, waiting for its end", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "slow", { input: { secs: 60, log: [] } });
  await atStep(threadId, "one");
  await client.runs.cancel(threadId, run.run_id, true, "interrupt");
  assert.equal((await client.runs.get(threadId, run.run_id)).status, "interrupted");
  const thread = await client.threads.get(threadId);
  assert.deepEqual([thread.status, (await client.threads.getState(threadId)).next], ["interrupted", ["sleep"]]);
  await refused(client.runs.cancel(threadId, run.run_id), 404);
});

test("cancel with rollback removes the run and what it did", async () => {
  const threadId = await newThread();
  await client.runs.wait(threadId, "three", { input });
  const run = await client.runs.create(threadId, "slow", { input: { secs: 60, log: ["gone"] } });
  await atStep(threadId, "gone");
  await client.runs.cancel(threadId, run.run_id, true, "rollback");
  await until(() => client.runs.get(threadId, run.run_id).then(() => false, (error) => error.status === 404));
  const state = await client.threads.getState(threadId);
  assert.deepEqual([state.values.log, (await client.threads.getHistory(threadId, { limit: 50 })).length], [DONE, 5]);
});

test("cancel many at once", async () => {
  const threadId = await newThread();
  const runs = [];
  for (let n = 0; n < 3; n++) runs.push(await client.runs.create(threadId, "slow", { input: { secs: 60, log: [] } }));
  await client.runs.cancelMany({ threadId, runIds: runs.map((run) => run.run_id) });
  for (const run of runs) assert.equal((await finished(run)).status, "interrupted");
  assert.notEqual((await client.threads.get(threadId)).status, "busy");
});

test("a delayed run is pending until then", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "three", { input, afterSeconds: 600 });
  assert.equal(run.status, "pending");
  assert.equal((await client.threads.get(threadId)).status, "busy");
  await client.runs.cancel(threadId, run.run_id, true);
  assert.equal((await client.runs.get(threadId, run.run_id)).status, "interrupted");
});

test("aborting a stream cancels the run, if it is to be so", async () => {
  for (const [onDisconnect, wanted] of [["cancel", "interrupted"], ["continue", "success"]]) {
    const threadId = await newThread();
    const abort = new AbortController();
    const payload = { input: { secs: 3, log: [] }, streamMode: "updates", onDisconnect, signal: abort.signal };
    const parts = [];
    try {
      for await (const part of client.runs.stream(threadId, "slow", payload)) {
        parts.push(part);
        if (part.event === "updates") abort.abort();
      }
    } catch (error) {
      assert.equal(error.name, "AbortError");
    }
    assert.deepEqual(dataOf(parts, "updates").map((data) => Object.keys(data)[0]), ["one"]);
    const [run] = await client.runs.list(threadId);
    assert.equal((await finished(run)).status, wanted);
  }
});

test("a deleted thread's run ends", async () => {
  const threadId = await newThread();
  const run = await client.runs.create(threadId, "slow", { input: { secs: 60, log: [] } });
  await runStatus(run, "running");
  await client.threads.delete(threadId);
  await refused(client.runs.get(threadId, run.run_id), 404);
});

test("twenty clients at once", async () => {
  const values = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => newClient().runs.wait(await newThread(), "three", { input: { log: [n] } })),
  );
  assert.deepEqual(values.map((one) => one.log), Array.from({ length: 20 }, (_, n) => [n, ...DONE]));
});

test("durability says how many checkpoints there are", async () => {
  for (const [durability, count] of [["sync", 5], ["async", 5], ["exit", 1]]) {
    const threadId = await newThread();
    await client.runs.wait(threadId, "three", { input, durability });
    assert.equal((await client.threads.getHistory(threadId)).length, count, durability);
  }
});
