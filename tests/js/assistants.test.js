import assert from "node:assert/strict";
import { test } from "node:test";
import { UUID, client, newId, newThread, refused, url } from "./suite.js";

const systemAssistant = async (graphId) =>
  (await client.assistants.search({ graphId, metadata: { created_by: "system" } }))[0];

test("create, get, delete", async () => {
  const made = await client.assistants.create({
    graphId: "context_echo",
    name: "Echo",
    description: "Tells what it was given",
    config: { configurable: { shape: "square" }, tags: ["t"], recursion_limit: 9 },
    metadata: { who: "js" },
  });
  assert.match(made.assistant_id, UUID);
  assert.deepEqual(
    [made.graph_id, made.name, made.description, made.version, made.metadata.who],
    ["context_echo", "Echo", "Tells what it was given", 1, "js"],
  );
  assert.equal(made.config.configurable.shape, "square");
  assert.deepEqual(await client.assistants.get(made.assistant_id), made);
  await client.assistants.delete(made.assistant_id);
  await refused(client.assistants.get(made.assistant_id), 404);
  await refused(client.assistants.delete(made.assistant_id), 404);
});

test("the same id twice", async () => {
  const assistantId = newId();
  const first = await client.assistants.create({ graphId: "three", assistantId });
  await refused(client.assistants.create({ graphId: "three", assistantId, name: "other" }), 409);
  const kept = await client.assistants.create({ graphId: "three", assistantId, name: "other", ifExists: "do_nothing" });
  assert.deepEqual(kept, first);
});

test("an unknown graph is refused and names those that exist", async () => {
  const detail = await refused(client.assistants.create({ graphId: "nobody" }), 404);
  assert.match(detail, /three/);
});

test("every graph has a system assistant", async () => {
  const found = await client.assistants.search({ metadata: { created_by: "system" }, limit: 1000 });
  const graphs = found.map((one) => one.graph_id);
  assert.ok(["chat", "three", "weather", "by_config"].every((graph) => graphs.includes(graph)), graphs.join());
});

test("update makes versions, setLatest goes back", async () => {
  const { assistant_id: id } = await client.assistants.create({
    graphId: "context_echo",
    name: "one",
    context: { model_name: "first" },
    metadata: { a: 1 },
  });
  const second = await client.assistants.update(id, { name: "two", context: { model_name: "second" }, metadata: { b: 2 } });
  assert.deepEqual([second.version, second.name, second.metadata.a, second.metadata.b], [2, "two", 1, 2]);
  const versions = await client.assistants.getVersions(id);
  assert.deepEqual(versions.map((one) => one.version), [2, 1]);
  assert.deepEqual((await client.assistants.getVersions(id, { limit: 1, offset: 1 })).map((one) => one.version), [1]);
  assert.deepEqual((await client.assistants.getVersions(id, { metadata: { b: 2 } })).map((one) => one.version), [2]);
  const back = await client.assistants.setLatest(id, 1);
  assert.deepEqual([back.version, back.name, back.context.model_name], [1, "one", "first"]);
  assert.equal((await client.assistants.update(id, { name: "three" })).version, 3);
  await refused(client.assistants.setLatest(id, 99), 404);
});

test("an update without a change is a version too", async () => {
  const { assistant_id: id } = await client.assistants.create({ graphId: "three" });
  assert.equal((await client.assistants.update(id, {})).version, 2);
});

test("search filters, sorts, pages and selects", async () => {
  const metadata = { group: newId() };
  for (const name of ["Alpha", "Beta", "Gamma"]) await client.assistants.create({ graphId: "three", name, metadata });
  const names = async (query) => (await client.assistants.search({ metadata, ...query })).map((one) => one.name);
  assert.deepEqual(await names({ sortBy: "name", sortOrder: "asc" }), ["Alpha", "Beta", "Gamma"]);
  assert.deepEqual(await names({ sortBy: "created_at", sortOrder: "desc", limit: 2 }), ["Gamma", "Beta"]);
  assert.deepEqual(await names({ name: "ET" }), ["Beta"]);
  assert.deepEqual(await names({ graphId: "chat" }), []);
  assert.equal(await client.assistants.count({ metadata }), 3);
  assert.equal(await client.assistants.count({ metadata, name: "amm" }), 1);
  assert.equal(await client.assistants.count({ metadata, graphId: "chat" }), 0);
  const page = await client.assistants.search({ metadata, limit: 2, includePagination: true });
  assert.deepEqual([page.assistants.length, page.next], [2, "2"]);
  const last = await client.assistants.search({ metadata, limit: 2, offset: 2, includePagination: true });
  assert.deepEqual([last.assistants.length, last.next], [1, null]);
  const [selected] = await client.assistants.search({ metadata, limit: 1, select: ["assistant_id", "name"] });
  assert.deepEqual(Object.keys(selected).sort(), ["assistant_id", "name"]);
});

test("graph, also with its subgraphs", async () => {
  const { assistant_id: id } = await systemAssistant("weather");
  const graph = await client.assistants.getGraph(id);
  assert.deepEqual(
    graph.nodes.map((node) => node.id).sort(),
    ["__end__", "__start__", "route", "small_talk", "weather_graph"],
  );
  assert.ok(graph.edges.some((edge) => edge.source === "route" && edge.target === "weather_graph" && edge.conditional));
  for (const xray of [true, 1]) {
    const inside = await client.assistants.getGraph(id, { xray });
    assert.ok(inside.nodes.some((node) => node.id === "weather_graph:tell"), JSON.stringify(inside.nodes));
  }
  await refused(client.assistants.getGraph(newId()), 404);
});

test("schemas and subgraphs", async () => {
  const { assistant_id: id } = await systemAssistant("weather");
  const schemas = await client.assistants.getSchemas(id);
  assert.equal(schemas.graph_id, "weather");
  assert.ok("messages" in schemas.input_schema.properties && "city" in schemas.state_schema.properties);
  const subgraphs = await client.assistants.getSubgraphs(id);
  assert.deepEqual(Object.keys(subgraphs), ["weather_graph"]);
  assert.ok("city" in subgraphs.weather_graph.state_schema.properties);
  assert.deepEqual(Object.keys(await client.assistants.getSubgraphs(id, { namespace: "weather_graph" })), ["weather_graph"]);
  assert.deepEqual(Object.keys(await client.assistants.getSubgraphs(id, { recurse: true })), ["weather_graph"]);
  const context = await systemAssistant("context_echo");
  const { context_schema } = await client.assistants.getSchemas(context.assistant_id);
  assert.ok("model_name" in context_schema.properties);
});

test("a run uses the assistant's config and context", async () => {
  const made = await client.assistants.create({ graphId: "context_echo", context: { model_name: "from the assistant" } });
  const values = await client.runs.wait(null, made.assistant_id, { input: {} });
  assert.deepEqual(values.seen.context, { model_name: "from the assistant" });
  const own = await client.runs.wait(null, made.assistant_id, { input: {}, context: { model_name: "from the run" } });
  assert.deepEqual(own.seen.context, { model_name: "from the run" });
});

test("deleting with its threads", async () => {
  const { assistant_id: id } = await client.assistants.create({ graphId: "three" });
  const threadId = await newThread();
  const other = await newThread();
  await client.runs.wait(threadId, id, { input: { log: [] } });
  await client.assistants.delete(id, { deleteThreads: true });
  await refused(client.threads.get(threadId), 404);
  assert.equal((await client.threads.get(other)).thread_id, other);
});

test("connectivity checks", async () => {
  assert.equal((await (await fetch(`${url}/ok`)).json()).ok, true);
  const info = await (await fetch(`${url}/info`)).json();
  assert.equal(typeof info.version, "string");
  assert.equal(info.flags.assistants, true);
});
