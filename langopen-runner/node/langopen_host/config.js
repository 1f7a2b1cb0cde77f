/** Configs and contexts, from the API's documents to the library's. */

import { userOf } from "./user.js";

const CAMEL = { recursion_limit: "recursionLimit", max_concurrency: "maxConcurrency", run_name: "runName", run_id: "runId" };

/** A config document as the library's config. */
export function toConfig(document) {
  const config = {};
  for (const [name, value] of Object.entries(document ?? {})) {
    if (value !== null) config[CAMEL[name] ?? name] = value;
  }
  const configurable = { ...config.configurable };
  const user = userOf(configurable);
  if (user !== null) configurable.langgraph_auth_user = user;
  return { ...config, configurable };
}

/** The config of a run, with what this host adds to it. `server` is the metadata that every run gets. */
export function runConfig(spec, server) {
  const config = toConfig(spec.kwargs?.config);
  const own = {
    thread_id: spec.thread_id,
    run_id: spec.run_id,
    graph_id: spec.graph_id,
    assistant_id: spec.assistant_id,
  };
  return {
    ...config,
    configurable: { ...own, ...config.configurable },
    // The run's own metadata includes that of its thread; the config's does not, since it is older than the run.
    metadata: { ...(spec.metadata ?? config.metadata), run_attempt: spec.attempt ?? 1, ...server },
    runId: spec.run_id,
  };
}

/** The run's context, reduced to the fields of the graph's schema. A run without a context uses its configurable. */
export function contextOf(graph, kwargs) {
  const given = isEmpty(kwargs.context) ? null : kwargs.context;
  const fields = fieldsOf(graph.builder?._configRuntimeSchema);
  if (fields === null) return given ?? undefined;
  const known = Object.entries(given ?? kwargs.config?.configurable ?? {}).filter(([name]) => fields.has(name));
  return Object.fromEntries(known);
}

function fieldsOf(schema) {
  const shape = schema?.shape ?? schema?.def?.shape ?? schema?._def?.shape;
  const fields = typeof shape === "function" ? shape() : shape;
  return fields === undefined || fields === null ? null : new Set(Object.keys(fields));
}

function isEmpty(value) {
  return value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}
