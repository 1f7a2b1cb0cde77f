import assert from "node:assert/strict";
import { test } from "node:test";
import { HI, UUID, all, client, dataOf, events, newThread, streamRefused } from "./suite.js";

const input = { log: [] };
const stream = async (graph, payload) => all(client.runs.stream(await newThread(), graph, payload));

test("values is the default and begins with the run's metadata", async () => {
  const parts = await stream("three", { input });
  assert.deepEqual(events(parts), ["metadata", "values", "values", "values", "values"]);
  assert.match(parts[0].data.run_id, UUID);
  assert.equal(parts[0].data.attempt, 1);
  assert.deepEqual(parts.at(-1).data.log, ["one", "two", "three"]);
});

test("updates", async () => {
  const parts = await stream("three", { input, streamMode: "updates" });
  const updates = dataOf(parts, "updates");
  assert.deepEqual(updates, [{ one: { log: ["one"] } }, { two: { log: ["two"] } }, { three: { log: ["three"] } }]);
});

test("custom", async () => {
  const parts = await stream("three", { input, streamMode: "custom" });
  assert.deepEqual(dataOf(parts, "custom"), [{ at: "one" }, { at: "two" }, { at: "three" }]);
});

test("tasks, checkpoints and debug", async () => {
  const tasks = dataOf(await stream("three", { input, streamMode: "tasks" }), "tasks");
  assert.deepEqual(tasks.map((task) => [task.name, "result" in task]), [
    ["one", false], ["one", true], ["two", false], ["two", true], ["three", false], ["three", true],
  ]);
  const checkpoints = dataOf(await stream("three", { input, streamMode: "checkpoints" }), "checkpoints");
  assert.deepEqual(checkpoints.map((one) => one.metadata.step), [-1, 0, 1, 2, 3]);
  const debug = dataOf(await stream("three", { input, streamMode: "debug" }), "debug");
  assert.deepEqual(debug.map((one) => one.type), [
    "checkpoint", "checkpoint", ...Array(3).fill(["task", "task_result", "checkpoint"]).flat(),
  ]);
});

test("events", async () => {
  const found = dataOf(await stream("chat", { input: HI, streamMode: "events" }), "events");
  const tokens = found.filter((one) => one.event === "on_chat_model_stream").map((one) => one.data.chunk.content);
  assert.equal(tokens.join(""), "Good day to you");
  assert.equal(found[0].event, "on_chain_start");
});

test("messages-tuple: one event for each token", async () => {
  const parts = await stream("chat", { input: HI, streamMode: "messages-tuple" });
  const messages = dataOf(parts, "messages");
  assert.deepEqual(messages.map(([chunk]) => chunk.content), ["Good", " day", " to", " you", ""].slice(0, messages.length));
  assert.ok(messages.length === 4 || messages.length === 5);
  assert.equal(new Set(messages.map(([chunk]) => chunk.id)).size, 1);
  assert.ok(messages.every(([chunk, metadata]) => chunk.type === "AIMessageChunk" && metadata.langgraph_node === "answer"));
});

test("messages-tuple: an agent's tokens, its call and the tool's answer", async () => {
  const parts = await stream("tool_agent", { input: HI, streamMode: "messages-tuple" });
  const messages = dataOf(parts, "messages").map(([message]) => message);
  const tools = messages.filter((message) => message.type === "tool");
  assert.deepEqual(tools.map((message) => [message.content, message.tool_call_id]), [["42", "call-1"]]);
  const args = messages.flatMap((message) => message.tool_call_chunks ?? []).map((chunk) => chunk.args);
  assert.deepEqual(JSON.parse(args.join("")), { a: 6, b: 7 });
  const place = messages.indexOf(tools[0]);
  const answer = messages.slice(place + 1).map((message) => message.content);
  assert.deepEqual(answer.filter(Boolean), ["The", " product", " is", " 42"]);
});

test("messages: what has come so far, under the old names", async () => {
  const parts = await stream("chat", { input: HI, streamMode: "messages" });
  assert.equal(events(parts)[1], "messages/metadata");
  const partial = dataOf(parts, "messages/partial").map(([message]) => message.content);
  assert.deepEqual([...new Set(partial)], ["Good", "Good day", "Good day to", "Good day to you"]);
  assert.ok(parts.every((part) => /^(metadata|messages\/(metadata|partial))$/.test(part.event)));
});

test("messages: one that was not streamed is complete", async () => {
  const parts = await stream("whole_chat", { input: HI, streamMode: "messages" });
  const [[message]] = dataOf(parts, "messages/complete").filter(([one]) => one.type === "ai");
  assert.deepEqual([message.id, message.content], ["whole-1", "whole answer"]);
});

test("no tokens from a model that is tagged nostream", async () => {
  const parts = await stream("quiet_chat", { input: HI, streamMode: ["messages-tuple", "values"] });
  assert.ok(!dataOf(parts, "messages").some(([message]) => message.type === "AIMessageChunk"));
  assert.equal(parts.at(-1).data.messages.at(-1).content, "Good day to you");
});

test("several modes at once", async () => {
  const parts = await stream("three", { input, streamMode: ["values", "updates", "custom"] });
  assert.deepEqual(events(parts), [
    "metadata", "values", ...Array(3).fill(["custom", "updates", "values"]).flat(),
  ]);
});

test("from inside subgraphs, named by the task", async () => {
  const parts = await stream("nested", { input, streamMode: ["updates", "custom"], streamSubgraphs: true });
  const short = events(parts).map((event) => event.replace(/:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, ""));
  assert.deepEqual(short.filter((event) => event.startsWith("updates")), [
    "updates", "updates|inner", "updates|inner", "updates",
  ]);
  assert.deepEqual(short.filter((event) => event.startsWith("custom")), ["custom", "custom|inner", "custom|inner"]);
  const chat = await stream("nested_chat", { input: HI, streamMode: "messages-tuple", streamSubgraphs: true });
  const inside = chat.filter((part) => part.event.startsWith("messages|inner_chat:"));
  assert.equal(inside.map((part) => part.data[0].content).join(""), "Good day to you");
});

test("line separators that only some know stay inside their event", async () => {
  const log = ["a\u2028b\u2029c\u0085d\r\ne\u000bf"];
  const parts = await stream("three", { input: { log }, streamMode: ["values", "updates"] });
  assert.equal(parts.length, 8);
  for (const data of dataOf(parts, "values")) assert.equal(data.log[0], log[0]);
});

test("an error is an event and ends the stream", async () => {
  const threadId = await newThread();
  const parts = await all(client.runs.stream(threadId, "failing", { input: { kind: "value" }, streamMode: "updates" }));
  assert.deepEqual(events(parts), ["metadata", "updates", "error"]);
  assert.deepEqual(parts.at(-1).data, { error: "ValueError", message: "bad value: \u00e9\u2028\"quoted\"" });
  assert.equal((await client.threads.get(threadId)).status, "error");
});

test("an error of an unknown class keeps its text to itself", async () => {
  const parts = await stream("failing", { input: { kind: "own" } });
  assert.deepEqual(parts.at(-1).data, { error: "OwnError", message: "An internal error occurred" });
});

test("without a thread", async () => {
  const parts = await all(client.runs.stream(null, "chat", { input: HI, streamMode: "messages-tuple" }));
  assert.equal(dataOf(parts, "messages").map(([chunk]) => chunk.content).join(""), "Good day to you");
});

test("an unknown mode is refused", async () => {
  await streamRefused(client.runs.stream(null, "three", { input, streamMode: "nonsense" }), 422);
});
