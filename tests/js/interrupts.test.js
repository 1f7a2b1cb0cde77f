import assert from "node:assert/strict";
import { test } from "node:test";
import { all, client, dataOf, events, newThread } from "./suite.js";

const input = { log: [] };

test("stream, look at the thread, resume", async () => {
  const threadId = await newThread();
  const parts = await all(client.runs.stream(threadId, "question", { input, streamMode: ["values", "updates"] }));
  const [interrupt] = dataOf(parts, "updates").at(-1).__interrupt__;
  assert.deepEqual(interrupt.value, { question: "go on?" });
  assert.deepEqual(parts.at(-1).data, { log: ["before"], __interrupt__: [interrupt] });
  const [run] = await client.runs.list(threadId);
  assert.equal(run.status, "success");
  const thread = await client.threads.get(threadId);
  const state = await client.threads.getState(threadId);
  const [task] = state.tasks;
  assert.equal(thread.status, "interrupted");
  assert.deepEqual(Object.keys(thread.interrupts), [task.id], "keyed by task");
  assert.deepEqual(thread.interrupts[task.id][0].value, { question: "go on?" });
  assert.equal(task.interrupts[0].id, interrupt.id);
  assert.deepEqual(state.next, ["ask"]);
  const values = await client.runs.wait(threadId, "question", { command: { resume: "yes" } });
  assert.deepEqual(values, { log: ["before", "asked", "after"], reply: "yes" });
  const after = await client.threads.get(threadId);
  assert.deepEqual([after.status, after.interrupts], ["idle", {}]);
});

test("wait and join tell the interrupt", async () => {
  const threadId = await newThread();
  const values = await client.runs.wait(threadId, "question", { input });
  assert.equal(values.__interrupt__[0].value.question, "go on?");
  const [run] = await client.runs.list(threadId);
  const joined = await client.runs.join(threadId, run.run_id);
  assert.equal(joined.__interrupt__[0].id, values.__interrupt__[0].id);
});

test("falsy answers are answers", async () => {
  for (const resume of [false, 0, "", []]) {
    const threadId = await newThread();
    await client.runs.wait(threadId, "question", { input });
    assert.deepEqual((await client.runs.wait(threadId, "question", { command: { resume } })).reply, resume);
  }
});

test("resume with update and goto", async () => {
  const threadId = await newThread();
  await client.runs.wait(threadId, "question", { input });
  const command = { resume: "yes", update: { log: ["added"] } };
  assert.deepEqual((await client.runs.wait(threadId, "question", { command })).log, ["before", "added", "asked", "after"]);
  const again = await client.runs.wait(threadId, "question", { command: { goto: "after" } });
  assert.deepEqual(again.log, ["before", "added", "asked", "after", "after"]);
});

test("two at once, answered by id", async () => {
  const threadId = await newThread();
  const { __interrupt__: asked } = await client.runs.wait(threadId, "two_questions", { input });
  assert.deepEqual(asked.map((one) => one.value.side).sort(), ["left", "right"]);
  assert.equal(Object.keys((await client.threads.get(threadId)).interrupts).length, 2);
  const resume = Object.fromEntries(asked.map((one) => [one.id, one.value.side.toUpperCase()]));
  const { log } = await client.runs.wait(threadId, "two_questions", { command: { resume } });
  assert.deepEqual([...log].sort(), ["join", "left:LEFT", "other", "right:RIGHT"]);
});

test("inside a subgraph", async () => {
  const threadId = await newThread();
  const parts = await all(
    client.runs.stream(threadId, "nested_question", { input, streamMode: "updates", streamSubgraphs: true }),
  );
  const interrupts = parts.filter((part) => part.data.__interrupt__);
  assert.deepEqual(interrupts.map((part) => part.event.replace(/:[0-9a-f-]{36}$/, "")), ["updates|inner", "updates"]);
  const values = await client.runs.wait(threadId, "nested_question", { command: { resume: "deep" } });
  assert.equal(values.reply, "deep");
});

test("before and after nodes", async () => {
  for (const payload of [{ interruptBefore: ["two"] }, { interruptAfter: ["one"] }]) {
    const threadId = await newThread();
    const parts = await all(client.runs.stream(threadId, "three", { input, streamMode: ["values", "updates"], ...payload }));
    assert.deepEqual(events(parts), ["metadata", "values", "updates", "values", "updates"]);
    assert.deepEqual(parts.at(-1).data, { __interrupt__: [] });
    const thread = await client.threads.get(threadId);
    assert.deepEqual([thread.status, thread.interrupts], ["interrupted", {}]);
    assert.deepEqual((await client.runs.wait(threadId, "three", { input: null })).log, ["one", "two", "three"]);
  }
});

test("before every node", async () => {
  const threadId = await newThread();
  const step = async (input) => (await client.runs.wait(threadId, "three", { input, interruptBefore: "*" })).log;
  assert.deepEqual(
    [await step(input), await step(null), await step(null), await step(null)],
    [[], ["one"], ["one", "two"], ["one", "two", "three"]],
  );
});
