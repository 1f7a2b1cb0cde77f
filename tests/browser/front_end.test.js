// The calls that chat front ends make around a conversation.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { test } from "node:test";
import { client, url } from "./browser.js";

const ORIGIN = "http://localhost:3000";
const HEADERS = "content-type,x-api-key,x-auth-scheme";

/** A raw request, because `fetch` does not show these headers. */
function ask(method, path, headers) {
  return new Promise((done, failed) => {
    const call = request(`${url}${path}`, { method, headers: { origin: ORIGIN, ...headers } }, (response) => {
      response.resume().on("end", () => done(response));
    });
    call.on("error", failed).end();
  });
}

test("a page of any origin may call every operation, with a key", async () => {
  const id = randomUUID();
  const operations = [
    ["GET", "/info"], ["GET", "/ok"], ["POST", "/threads"], ["POST", "/threads/search"], ["GET", `/threads/${id}`],
    ["PATCH", `/threads/${id}`], ["DELETE", `/threads/${id}`], ["GET", `/threads/${id}/state`],
    ["POST", `/threads/${id}/history`], ["POST", `/threads/${id}/runs/stream`], ["POST", `/threads/${id}/runs/${id}/cancel`],
    ["GET", `/threads/${id}/runs/${id}/stream`], ["POST", "/runs/stream"], ["POST", "/assistants/search"],
    ["PUT", "/store/items"], ["DELETE", "/store/items"],
  ];
  for (const [method, path] of operations) {
    const answer = await ask("OPTIONS", path, {
      "access-control-request-method": method,
      "access-control-request-headers": HEADERS,
    });
    const { headers } = answer;
    assert.equal(answer.statusCode, 200, path);
    assert.ok(["*", ORIGIN].includes(headers["access-control-allow-origin"]), path);
    assert.ok(headers["access-control-allow-methods"].includes(method), `${method} ${path}`);
    for (const name of HEADERS.split(",")) assert.ok(headers["access-control-allow-headers"].includes(name), `${name} ${path}`);
  }
});

test("errors, too, may be read by a page", async () => {
  for (const path of ["/nowhere", `/threads/${randomUUID()}`]) {
    const answer = await ask("GET", path, { "x-api-key": "k" });
    assert.equal(answer.statusCode, 404);
    assert.ok(["*", ORIGIN].includes(answer.headers["access-control-allow-origin"]), path);
  }
});

test("what a page needs of an answer's headers is exposed", async () => {
  const answer = await ask("GET", "/info", {});
  const exposed = answer.headers["access-control-expose-headers"];
  for (const name of ["content-location", "location", "x-pagination-total", "x-pagination-next"]) assert.ok(exposed.includes(name), name);
});

test("the connectivity check", async () => {
  const answer = await fetch(`${url}/info`, { headers: { "x-api-key": "whatever" } });
  assert.equal(answer.status, 200);
  assert.equal(typeof (await answer.json()).version, "string");
});

test("the list of conversations: newest first, with values for titles", async () => {
  const metadata = { front_end: randomUUID() };
  const ids = [];
  for (const content of ["first", "second", "third"]) {
    const { thread_id: id } = await client.threads.create({ metadata });
    await client.runs.wait(id, "chat", { input: { messages: [{ type: "human", content }] } });
    ids.push(id);
  }
  const titles = async () =>
    (await client.threads.search({ metadata: { graph_id: "chat", ...metadata }, limit: 100 })).map(
      (thread) => thread.values.messages[0].content,
    );
  assert.deepEqual(await titles(), ["third", "second", "first"]);
  await client.runs.wait(ids[0], "chat", { input: { messages: [{ type: "human", content: "more" }] } });
  assert.deepEqual(await titles(), ["first", "third", "second"]);
});

test("the history behind branches", async () => {
  const { thread_id: id } = await client.threads.create();
  const say = (content, options) =>
    client.runs.wait(id, "chat", { input: content && { messages: [{ type: "human", content }] }, ...options });
  await say("hi");
  const history = await client.threads.getHistory(id, { limit: 10 });
  assert.deepEqual(history.map((state) => state.next), [[], ["answer"], ["__start__"]]);
  const asked = history[1];
  assert.deepEqual(asked.values.messages.map((message) => message.content), ["hi"]);
  const { thread_id: _, ...checkpoint } = asked.checkpoint;
  await say(null, { checkpoint });
  const after = await client.threads.getHistory(id, { limit: 10 });
  const children = after.filter((state) => state.parent_checkpoint?.checkpoint_id === asked.checkpoint.checkpoint_id);
  assert.equal(children.length, 2, "the first answer and the fork of the second");
});
