/** The graphs of this application, ready to be run with the platform's saver and store. */

import { DeclaredSchemas } from "./declared.js";
import { parse } from "./intrinsics.js";
import { loadObject, locate } from "./loading.js";
import { LoadError } from "./load_error.js";
import { userOf } from "./user.js";

/** The access context of a run, as a factory's `runtime` names it. */
export const EXECUTION = "threads.create_run";
const DEFAULT_NAME = "LangGraph";

/** Graphs by id. A factory makes a new graph for every access. */
export class Graphs {
  #graphs = new Map();
  #factories = new Map();
  // The schemas that the graphs' source files declare.
  declared = new DeclaredSchemas();
  #described = [];
  #configs = {};
  #saver;
  #store;

  /** `saver` and `store` are classes: every scope gets its own instance of each. */
  use(saver, store) {
    this.#saver = saver;
    this.#store = store;
  }

  /** Reads `LANGGRAPH_CONFIG`: the configs of the graphs' own assistants, as a JSON object by graph id. */
  readConfigs(text) {
    if (!text) return;
    let configs;
    try {
      configs = parse(text);
    } catch (error) {
      throw new LoadError(`LANGGRAPH_CONFIG is not JSON: ${error.message}`, "ValueError");
    }
    const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
    if (!isObject(configs) || !Object.values(configs).every(isObject)) {
      throw new LoadError("LANGGRAPH_CONFIG has to be a JSON object with a config for each graph id", "ValueError");
    }
    this.#configs = configs;
  }

  /** Imports a graph. An error that the user's module throws passes through unchanged. */
  async load(graphId, target, description, baseDir) {
    // A module may export the promise of a graph.
    const owner = `graph ${JSON.stringify(graphId)}`;
    const value = await loadObject(owner, target, baseDir);
    const { file, name: exported } = locate(owner, target, baseDir);
    this.declared.add(graphId, file, exported);
    let name = graphId;
    const graph = graphOf(value);
    if (graph !== null) {
      for (const part of ["checkpointer", "store"]) {
        if (typeof graph[part] === "object" && graph[part] !== null) {
          console.warn(`Graph '${graphId}' was compiled with a ${part} of its own; the platform's replaces it`);
        }
      }
      this.#graphs.set(graphId, graph);
      name = named(graph, graphId);
    } else if (typeof value === "function") {
      this.#factories.set(graphId, value);
    } else {
      throw new LoadError(
        `'${target.slice(target.lastIndexOf(":") + 1)}' of graph '${graphId}' is a ${kindOf(value)}: a graph needs a compiled ` +
          "graph, a StateGraph, an agent of createAgent or createDeepAgent, or a function that returns one of these",
        "TypeError",
      );
    }
    this.#described.push({ graph_id: graphId, name, description, config: this.#configs[graphId] ?? null });
  }

  /** `[{graph_id, name, description, config}]`, in the order of the configuration. */
  described() {
    return this.#described;
  }

  /**
   * The graph for one access of `scope`. `access` is one of the SDK's access contexts. A `temporary` graph keeps no
   * checkpoints.
   */
  async open(graphId, config, access, scope, { temporary = false, context = null } = {}) {
    const store = new this.#store(scope);
    let graph = this.#graphs.get(graphId);
    if (graph === undefined) {
      const make = this.#factories.get(graphId);
      if (make === undefined) throw Object.assign(new Error(`There is no graph '${graphId}'`), { name: "GraphNotFound" });
      graph = compiled(await make(...factoryArguments(config, access, store, context)));
    }
    return bind(graph, graphId, new this.#saver(scope, { transient: temporary }), store);
  }
}

function factoryArguments(config, access, store, context) {
  const executing = access === EXECUTION;
  const configurable = { ...config.configurable, __is_for_execution__: executing };
  const runtime = {
    access_context: access,
    execution_runtime: executing ? { context } : null,
    user: userOf(configurable),
    store,
  };
  return [{ ...config, configurable }, runtime];
}

/** A copy of the graph with the platform's saver and store. The copy shares the original's nodes. */
function bind(graph, graphId, checkpointer, store) {
  const bound = Object.assign(Object.create(Object.getPrototypeOf(graph)), graph);
  return Object.assign(bound, { checkpointer, store, name: named(graph, graphId) });
}

function named(graph, graphId) {
  return graph.name && graph.name !== DEFAULT_NAME ? graph.name : graphId;
}

function compiled(value) {
  const graph = graphOf(value);
  if (graph === null) throw new TypeError(`A graph factory has to return a graph, not a ${kindOf(value)}`);
  return graph;
}

/** The compiled graph of a graph, a builder, or an agent that wraps a graph; null for any other value. */
function graphOf(value) {
  if (isGraph(value)) return value;
  if (isBuilder(value)) return graphOf(value.compile());
  // `createAgent` and `createDeepAgent` return a wrapper around their compiled graph.
  return value !== null && typeof value === "object" && isGraph(value.graph) ? value.graph : null;
}

function isGraph(value) {
  return value !== null && typeof value === "object" && value.lg_is_pregel === true;
}

function isBuilder(value) {
  return value !== null && typeof value === "object" && typeof value.compile === "function" && "nodes" in value;
}

function kindOf(value) {
  return value === null ? "null" : typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;
}
