import assert from "node:assert/strict";
import { test } from "node:test";
import { all, atStep, client, newThread, refused } from "./suite.js";

async function done(graph = "three", payload = { input: { log: ["zero"] } }) {
  const threadId = await newThread();
  await client.runs.wait(threadId, graph, payload);
  return threadId;
}

test("an empty thread", async () => {
  const threadId = await newThread();
  const state = await client.threads.getState(threadId);
  assert.deepEqual([state.values, state.next, state.tasks, state.metadata], [{}, [], [], null]);
  assert.deepEqual(await client.threads.getHistory(threadId), []);
});

test("now, at a checkpoint and by its id", async () => {
  const threadId = await done();
  const history = await client.threads.getHistory(threadId);
  assert.deepEqual(history.map((state) => state.metadata.step), [3, 2, 1, 0, -1]);
  assert.deepEqual(await client.threads.getState(threadId), history[0]);
  const old = history[2];
  for (const checkpoint of [old.checkpoint, old.checkpoint.checkpoint_id]) {
    const state = await client.threads.getState(threadId, checkpoint);
    assert.deepEqual([state.values.log, state.next], [["zero", "one"], ["two"]]);
    assert.deepEqual(state.parent_checkpoint, history[3].checkpoint);
  }
});

test("history by limit, before and the run's metadata", async () => {
  const threadId = await done("three", { input: { log: [] }, metadata: { mark: 1 } });
  await client.runs.wait(threadId, "three", { input: { log: [] }, metadata: { mark: 2 } });
  const history = await client.threads.getHistory(threadId, { limit: 50 });
  assert.equal(history.length, 10);
  assert.equal((await client.threads.getHistory(threadId, { limit: 3 })).length, 3);
  assert.equal((await client.threads.getHistory(threadId, { limit: 50, metadata: { mark: 2 } })).length, 5);
  for (const before of [{ configurable: { checkpoint_id: history[3].checkpoint.checkpoint_id } }, history[3].checkpoint]) {
    const older = await client.threads.getHistory(threadId, { limit: 2, before });
    assert.deepEqual(older, history.slice(4, 6));
  }
});

test("update as a node, then go on from there", async () => {
  const threadId = await done();
  const answer = await client.threads.updateState(threadId, { values: { log: ["by hand"] }, asNode: "two" });
  const state = await client.threads.getState(threadId);
  assert.equal(state.checkpoint.checkpoint_id, answer.checkpoint.checkpoint_id);
  assert.equal(answer.configurable.thread_id, threadId);
  assert.deepEqual([state.next, state.metadata.source], [["three"], "update"]);
  assert.equal((await client.threads.get(threadId)).status, "interrupted");
  const values = await client.runs.wait(threadId, "three", { input: null });
  assert.deepEqual(values.log, ["zero", "one", "two", "three", "by hand", "three"]);
});

test("a fork: update an old checkpoint and run on from it", async () => {
  const threadId = await done();
  const history = await client.threads.getHistory(threadId);
  const old = history.find((state) => state.next[0] === "two");
  const { checkpoint } = await client.threads.updateState(threadId, {
    values: { log: ["forked"] },
    checkpointId: old.checkpoint.checkpoint_id,
  });
  const values = await client.runs.wait(threadId, "three", { input: null, checkpoint: { ...checkpoint, thread_id: undefined } });
  assert.deepEqual(values.log, ["zero", "one", "forked", "two", "three"]);
});

test("a run from an old checkpoint by its id", async () => {
  const threadId = await done();
  const old = (await client.threads.getHistory(threadId)).find((state) => state.next[0] === "three");
  const values = await client.runs.wait(threadId, "three", { input: null, checkpointId: old.checkpoint.checkpoint_id });
  assert.deepEqual(values.log, ["zero", "one", "two", "three"]);
  const [head, fork] = await client.threads.getHistory(threadId);
  assert.deepEqual([head.metadata.source, fork.metadata.source], ["loop", "fork"]);
});

test("null values end or copy what is there", async () => {
  const threadId = await done();
  await client.threads.updateState(threadId, { values: { log: [] }, asNode: "one" });
  assert.deepEqual((await client.threads.getState(threadId)).next, ["two"]);
  await client.threads.updateState(threadId, { values: null, asNode: "__copy__" });
  assert.deepEqual((await client.threads.getState(threadId)).next, ["two"]);
  await client.threads.updateState(threadId, { values: null, asNode: "__end__" });
  assert.deepEqual((await client.threads.getState(threadId)).next, []);
});

test("refusals", async () => {
  const threadId = await newThread();
  await refused(client.threads.updateState(threadId, { values: { log: [] } }), 400);
  const run = await client.runs.create(threadId, "slow", { input: { secs: 60, log: [] } });
  await atStep(threadId, "one");
  await refused(client.threads.updateState(threadId, { values: { log: [] } }), 409);
  await client.runs.cancel(threadId, run.run_id, true);
  const detail = await refused(client.threads.updateState(threadId, { values: {}, asNode: "nobody" }), 400);
  assert.match(detail, /nobody/);
});

test("weather: a correction inside the subgraph is what the run goes on with", async () => {
  const threadId = await newThread();
  const ask = { messages: [{ role: "user", content: "what's the weather in sf" }] };
  const parts = await all(client.runs.stream(threadId, "weather", { input: ask, streamMode: "values", streamSubgraphs: true }));
  const state = await client.threads.getState(threadId, undefined, { subgraphs: true });
  assert.deepEqual(state.next, ["weather_graph"]);
  const [task] = state.tasks;
  assert.ok(parts.some((part) => part.event === `values|weather_graph:${task.id}`), parts.map((part) => part.event).join());
  assert.deepEqual([task.state.next, task.state.values.city], [["tell"], "Lisbon"]);
  assert.equal((await client.threads.get(threadId)).status, "interrupted");
  await client.threads.updateState(threadId, { values: { city: "Porto" }, checkpoint: task.state.checkpoint });
  const corrected = await client.threads.getState(threadId, undefined, { subgraphs: true });
  assert.equal(corrected.tasks[0].state.values.city, "Porto");
  const rest = await all(client.runs.stream(threadId, "weather", { input: null, streamMode: "values", streamSubgraphs: true }));
  const said = rest.at(-1).data.messages.at(-1).content;
  assert.equal(said, "It is sunny in Porto.");
  assert.deepEqual((await client.threads.getState(threadId)).next, []);
});

test("weather: a node of the subgraph answered by hand is not run", async () => {
  const threadId = await done("weather", { input: { messages: [{ role: "user", content: "weather?" }] } });
  const [task] = (await client.threads.getState(threadId)).tasks;
  assert.match(task.checkpoint.checkpoint_ns, /^weather_graph:/);
  await client.threads.updateState(threadId, {
    values: { messages: [{ role: "assistant", content: "It rains." }] },
    asNode: "tell",
    checkpoint: task.checkpoint,
  });
  const values = await client.runs.wait(threadId, "weather", { input: null });
  assert.deepEqual(values.messages.map((one) => one.content), ["weather?", "It rains."]);
});

test("weather: history of the subgraph", async () => {
  const threadId = await done("weather", { input: { messages: [{ role: "user", content: "weather?" }] } });
  const [task] = (await client.threads.getState(threadId)).tasks;
  const inside = await client.threads.getHistory(threadId, { checkpoint: task.checkpoint });
  assert.deepEqual(inside.map((state) => state.next), [["tell"], ["find_city"], ["__start__"]]);
});

test("a factory graph is made again with the config that the thread remembers", async () => {
  const threadId = await newThread();
  const config = { configurable: { shape: "square" } };
  await client.runs.wait(threadId, "by_config", { input: { key: "k" }, config, interruptBefore: ["square"] });
  const state = await client.threads.getState(threadId);
  assert.deepEqual([state.next, state.tasks[0].name], [["square"], "square"]);
  await client.threads.updateState(threadId, { values: { seen: "by hand" }, asNode: "square" });
  const after = await client.threads.getState(threadId);
  assert.deepEqual([after.values.seen, after.next], ["by hand", []]);
  await refused(client.threads.updateState(threadId, { values: {}, asNode: "round" }), 400);
});
