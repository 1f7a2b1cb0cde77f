/** Descriptions of a graph: its JSON schemas, its drawing, its subgraphs. */

const HIDDEN = /^(__|branch:|join:)/;

/** `graph.schemas`: the five schemas, null where one cannot be derived. The compiler works only if types are wanted. */
export function schemas(graph, _config, params, { library, graphs }) {
  const declared = async () => (params.names_only ? {} : (await graphs.declared.of(params.graph_id))[""]);
  return schemasOf(graph, `${params.graph_id}_state`, library, declared);
}

/** `graph.subgraphs`: schemas by namespace. */
export async function subgraphs(graph, _config, params, { library, graphs }) {
  const found = {};
  for await (const [namespace, inner] of graph.getSubgraphsAsync(params.namespace ?? undefined, Boolean(params.recurse))) {
    const declared = async () => (await graphs.declared.of(params.graph_id))[namespace];
    found[namespace] = await schemasOf(inner, inner.getName("State"), library, declared);
  }
  return found;
}

/** `graph.draw`: `{nodes, edges}` in the form of Python graphs: `__end__` has nothing but its id. */
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

/** A graph's schemas. `declared` finds the schemas that its source declares, for types that are unknown at run time. */
async function schemasOf(graph, title, library, declared) {
  const derive = await derivers(library);
  const known = {
    state: attempt(() => derive.getStateTypeSchema(graph)),
    input: attempt(() => derive.getInputTypeSchema(graph)),
    output: attempt(() => derive.getOutputTypeSchema(graph)),
    config: attempt(() => derive.getConfigTypeSchema(graph)),
  };
  const isKnown = known.state !== null && (known.config !== null || !hasContext(graph));
  const source = isKnown ? {} : ((await declared()) ?? {});
  const state = known.state ?? source.state ?? fromChannels(graph, graph.streamChannelsList);
  const context = known.config ?? filled(source.config);
  return {
    input_schema: known.input ?? source.input ?? fromChannels(graph, graph.inputChannels),
    output_schema: known.output ?? source.output ?? fromChannels(graph, graph.outputChannels),
    state_schema: { title, ...state },
    config_schema: context ?? {},
    context_schema: context,
  };
}

/** Whether the graph declares a context whose types are unknown at run time. */
function hasContext({ builder }) {
  return builder?._configSchema !== undefined && builder._configRuntimeSchema === undefined;
}

/** A schema with properties; null for one of a graph without a context. */
function filled(schema) {
  return Object.keys(schema?.properties ?? {}).length > 0 ? schema : null;
}

// This entry point of the library also registers channels with zod, so only a request for schemas imports it.
async function derivers(library) {
  try {
    return await library.load("@langchain/langgraph/zod/schema");
  } catch {
    return {};
  }
}

/** The schema of a state whose names alone are known: annotations have no types at run time. */
function fromChannels(graph, channels) {
  const start = graph.builder?._inputDefinition ?? graph.builder?.channels;
  const listed = [channels].flat().filter((name) => !HIDDEN.test(name));
  // The input arrives in one channel, and may have every member of the graph's state.
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
