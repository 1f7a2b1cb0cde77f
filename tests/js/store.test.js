import assert from "node:assert/strict";
import { test } from "node:test";
import { client, newId } from "./suite.js";

test("put, get, delete", async () => {
  const namespace = ["js", newId()];
  await client.store.putItem(namespace, "k", { v: 1, deep: { "é\u2028": [null] } });
  const item = await client.store.getItem(namespace, "k");
  assert.deepEqual([item.namespace, item.key, item.value], [namespace, "k", { v: 1, deep: { "é\u2028": [null] } }]);
  assert.ok(item.createdAt && item.updatedAt);
  await client.store.putItem(namespace, "k", { v: 2 });
  const changed = await client.store.getItem(namespace, "k");
  assert.deepEqual([changed.value, changed.createdAt], [{ v: 2 }, item.createdAt]);
  await client.store.deleteItem(namespace, "k");
  assert.equal(await client.store.getItem(namespace, "k"), null);
  await client.store.deleteItem(namespace, "k");
});

test("search by prefix and filter, in pages", async () => {
  const root = newId();
  for (const n of [1, 2, 3]) await client.store.putItem(["js", root, `user-${n % 2}`], `k${n}`, { n, kind: n > 1 ? "x" : "y" });
  const keys = async (options, namespace = ["js", root]) =>
    (await client.store.searchItems(namespace, options)).items.map((item) => item.key).sort();
  assert.deepEqual(await keys(), ["k1", "k2", "k3"]);
  assert.deepEqual(await keys({}, ["js", root, "user-1"]), ["k1", "k3"]);
  assert.deepEqual(await keys({ filter: { kind: "x" } }), ["k2", "k3"]);
  assert.equal((await keys({ limit: 2 })).length, 2);
  assert.equal((await keys({ limit: 2, offset: 2 })).length, 1);
  assert.deepEqual(await keys({}, ["js", newId()]), []);
});

test("namespaces", async () => {
  const root = newId();
  for (const path of [["a"], ["a", "b"], ["a", "b", "c"], ["z"]]) await client.store.putItem([root, ...path], "k", {});
  const listed = async (options) =>
    (await client.store.listNamespaces({ prefix: [root], ...options })).namespaces.map((one) => one.slice(1).join("/")).sort();
  assert.deepEqual(await listed(), ["a", "a/b", "a/b/c", "z"]);
  assert.deepEqual(await listed({ maxDepth: 2 }), ["a", "z"]);
  assert.deepEqual(await listed({ suffix: ["c"] }), ["a/b/c"]);
  assert.equal((await listed({ limit: 3 })).length, 3);
});

test("what a graph writes, and the other way round", async () => {
  const key = newId();
  const values = await client.runs.wait(null, "store_user", { input: { key, value: { from: "graph" } } });
  assert.deepEqual(values.seen.value, { from: "graph" });
  assert.deepEqual((await client.store.getItem(["suite", "graph"], key)).value, { from: "graph" });
});
