// The event streaming protocol: `client.threads.stream()` over server-sent events and over WebSockets.

import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { HI, client, newId } from "./suite.js";

// Stream transformers are of langgraph for JavaScript alone.
const hasTransformers = (await client.assistants.search({ limit: 100 })).some((assistant) => assistant.graph_id === "transformed");

/** A test over each transport, with a stream that is closed at its end. */
function onBoth(name, assistantId, scenario, options = {}) {
  for (const transport of ["sse", "websocket"]) {
    test(`${name}, ${transport}`, options, async () => {
      const threadId = newId();
      const thread = client.threads.stream(threadId, { assistantId, transport, webSocketFactory: (url) => new WebSocket(url) });
      try {
        await scenario(thread, threadId);
      } finally {
        await thread.close();
      }
    });
  }
}

/** All items of a projection. Ask for it before the run starts: the SDK shows nothing of runs that ended before. */
const gather = async (items) => {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
};

onBoth("messages and output", "chat", async (thread) => {
  const messages = gather(thread.messages);
  await thread.run.start({ input: HI });
  assert.deepEqual(await Promise.all((await messages).map((message) => message.text)), ["Good day to you"]);
  const output = await thread.output;
  assert.equal(output.messages.length, 2);
});

onBoth("values, step by step", "three", async (thread) => {
  const values = gather(thread.values);
  await thread.run.start({ input: { log: [] } });
  assert.deepEqual((await values).at(-1).log, ["one", "two", "three"]);
});

onBoth("an agent's tool calls", "tool_agent", async (thread) => {
  const shown = gather(thread.toolCalls);
  await thread.run.start({ input: HI });
  // The SDK shows a call when it begins, and once more when it has ended.
  const calls = await shown;
  assert.deepEqual(new Set(calls.map((each) => each.callId)), new Set(["call-1"]));
  const call = calls.at(-1);
  assert.match(JSON.stringify(await call.output), /42/);
});

onBoth(
  "what stream transformers add",
  "transformed",
  async (thread) => {
    const values = gather(thread.values);
    const nodes = gather(await thread.subscribe({ channels: ["custom:nodes"] }));
    await thread.run.start({ input: { word: "" } });
    await values;
    assert.equal(await thread.extensions.count, 2);
    assert.deepEqual((await nodes).map((event) => event.payload ?? event.params.data.payload), ["first", "second"]);
  },
  { skip: !hasTransformers },
);

onBoth("subgraphs are discovered", "nested", async (thread) => {
  const subgraphs = gather(thread.subgraphs);
  await thread.run.start({ input: { log: [] } });
  const [inner, ...more] = await subgraphs;
  assert.equal(more.length, 0);
  assert.match(inner.namespace.join("/"), /^inner:/);
});

onBoth("an interrupt is answered, and the stream goes on", "question", async (thread, threadId) => {
  const before = gather(thread.values);
  await thread.run.start({ input: { log: [] } });
  await before;
  assert.equal(thread.interrupts.length, 1);
  const [{ interruptId, namespace, payload }] = thread.interrupts;
  assert.deepEqual(payload, { question: "go on?" });
  await thread.input.respond({ namespace, interrupt_id: interruptId, response: "yes" });
  const [run] = await client.runs.list(threadId);
  assert.deepEqual(await client.runs.join(threadId, run.run_id), { log: ["before", "asked", "after"], reply: "yes" });
});

onBoth("commands about the state", "three", async (thread, threadId) => {
  await thread.run.start({ input: { log: [] } });
  await thread.output;
  const { values, checkpoint } = await thread.state.get({ namespace: [] });
  assert.deepEqual(values.log, ["one", "two", "three"]);
  const { checkpoints } = await thread.state.listCheckpoints({ limit: 10 });
  assert.equal(checkpoints[0].id, checkpoint.id);
  const forked = await thread.state.fork({ checkpoint_id: checkpoints.at(-2).id, input: null });
  assert.equal(forked.thread_id, threadId);
  await client.runs.join(threadId, forked.run_id);
  await assert.rejects(thread.state.fork({ checkpoint_id: newId() }), /no_such_checkpoint|Unknown checkpoint/);
});

onBoth("a failure is told", "failing", async (thread) => {
  const failed = new Promise((resolve) => {
    thread.onEvent((event) => event.params.data.event === "failed" && resolve(event.params.data));
  });
  await thread.run.start({ input: { kind: "runtime" } });
  assert.deepEqual(await failed, { event: "failed", graph_name: "failing", error: "bad runtime" });
});
