/** The calls that the runner makes: reading and changing a thread's state, and describing a graph. */

import { toConfig } from "./config.js";
import * as schemas from "./schemas.js";
import * as state from "./state.js";

// By name: the access context for factories, and the function that does the work.
const METHODS = {
  "state.get": ["threads.read", state.get],
  "state.history": ["threads.read", state.history],
  "state.update": ["threads.update", state.update],
  "state.bulk_update": ["threads.update", state.bulkUpdate],
  "graph.schemas": ["assistants.read", schemas.schemas],
  "graph.draw": ["assistants.read", schemas.draw],
  "graph.subgraphs": ["assistants.read", schemas.subgraphs],
};

/** Answers one call on behalf of `scope`; undefined when there is no such method. */
export async function serve(name, params, app, scope) {
  const method = METHODS[name];
  if (method === undefined) return undefined;
  const [access, act] = method;
  const config = toConfig(params.config);
  const { configurable } = config;
  if (access.startsWith("threads.")) configurable.checkpoint_ns ??= "";
  if (access === "threads.update") configurable.graph_id ??= params.graph_id;
  const graph = await app.graphs.open(params.graph_id, config, access, scope, { context: params.context ?? null });
  return await act(graph, config, params, app);
}
