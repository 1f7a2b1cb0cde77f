/** What a graph looks like from outside: its JSON schemas, its drawing, its subgraphs. */

const HIDDEN = /^(__|branch:|join:)/;

/** `graph.schemas`: the five schemas, null where one cannot be derived. */
export function schemas(graph, _config, params, library) {
  return schemasOf(graph, `${params.graph_id}_state`, library);
}

/** `graph.subgraphs`: schemas by namespace. */
export async function subgraphs(graph, _config, params, library) {
  const found = {};
  for await (const [namespace, inner] of graph.getSubgraphsAsync(params.namespace ?? undefined, Boolean(params.recurse))) {
    found[namespace] = await schemasOf(inner, inner.getName("State"), library);
  }
  return found;
}

/** `graph.draw`: `{nodes, edges}`; `__end__` has an id and nothing else. */
export async function draw(graph, config, params) {
  const drawn = (await graph.getGraphAsync({ ...config, xray: params.xray ?? false })).toJSON();
  const nodes = drawn.nodes.map(({ id, data, metadata }) => {
    if (id === "__end__") return { id };
    const name = typeof data === "object" && data !== null ? data.name : data;
    const shown = { id, type: "runnable", data: { name: name ?? String(id) } };
    return metadata && Object.keys(metadata).length > 0 ? { ...shown, metadata } : shown;
  });
  // In the order of the nodes that they leave.
  const order = new Map(drawn.nodes.map(({ id }, at) => [id, at]));
  const sorted = [...drawn.edges].sort((one, other) => order.get(one.source) - order.get(other.source));
  const edges = sorted.map(({ source, target, data, conditional }) => ({
    source,
    target,
    ...(data === undefined ? {} : { data }),
    ...(conditional ? { conditional } : {}),
  }));
  return { nodes, edges };
}

async function schemasOf(graph, title, library) {
  const derive = await derivers(library);
  const named = (schema) => (schema === null ? null : { title, ...schema });
  const context = attempt(() => derive.getConfigTypeSchema(graph));
  return {
    input_schema: attempt(() => derive.getInputTypeSchema(graph)) ?? fromChannels(graph, graph.inputChannels),
    output_schema: attempt(() => derive.getOutputTypeSchema(graph)) ?? fromChannels(graph, graph.outputChannels),
    state_schema: named(attempt(() => derive.getStateTypeSchema(graph)) ?? fromChannels(graph, graph.streamChannelsList)),
    config_schema: context ?? {},
    context_schema: context,
  };
}

// Schemas stand behind a door of their own, which also teaches zod about channels.
async function derivers(library) {
  try {
    return await library.load("@langchain/langgraph/zod/schema");
  } catch {
    return {};
  }
}

/** A state that is declared by annotations has names and no types at run time. */
function fromChannels(graph, channels) {
  const start = graph.builder?._inputDefinition ?? graph.builder?.channels;
  const listed = [channels].flat().filter((name) => !HIDDEN.test(name));
  // The input comes in by one channel; what it may have is what the graph's state has.
  const names = listed.length > 0 ? listed : Object.keys(start ?? graph.channels).filter((name) => !HIDDEN.test(name));
  return { type: "object", properties: Object.fromEntries(names.map((name) => [name, propertyOf(graph.channels[name])])) };
}

function propertyOf(channel) {
  const value = attempt(() => channel?.initialValueFactory?.());
  return Array.isArray(value) ? { type: "array", items: {} } : {};
}

function attempt(derive) {
  try {
    return derive() ?? null;
  } catch {
    return null;
  }
}
