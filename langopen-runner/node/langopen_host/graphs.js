/** The graphs of this application, ready to be run with the platform's saver and store. */

import { loadObject } from "./loading.js";
import { LoadError } from "./load_error.js";
import { userOf } from "./user.js";

/** What a factory is told that a run's access is for. */
export const EXECUTION = "threads.create_run";
const DEFAULT_NAME = "LangGraph";

/** Graphs by id; a factory makes its graph anew on every access. */
export class Graphs {
  #graphs = new Map();
  #factories = new Map();
  #described = [];
  #saver;
  #store;

  /** `saver` and `store` are the classes that scopes get instances of. */
  use(saver, store) {
    this.#saver = saver;
    this.#store = store;
  }

  /** Imports a graph. What the user's code throws comes out as it is. */
  async load(graphId, target, description, baseDir) {
    const value = await loadObject(`graph ${JSON.stringify(graphId)}`, target, baseDir);
    let name = graphId;
    if (isGraph(value) || isBuilder(value)) {
      const graph = compiled(value);
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
          "graph, a StateGraph, or a function that returns one",
        "TypeError",
      );
    }
    this.#described.push({ graph_id: graphId, name, description });
  }

  /** `[{graph_id, name, description}]`, in the order of the configuration. */
  described() {
    return this.#described;
  }

  /**
   * The graph for one access of `scope`; `access` is one of the SDK's access contexts. Without `temporary` it keeps
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

/** A copy on which the saver and the store are ours. The nodes are shared with the original. */
function bind(graph, graphId, checkpointer, store) {
  const bound = Object.assign(Object.create(Object.getPrototypeOf(graph)), graph);
  return Object.assign(bound, { checkpointer, store, name: named(graph, graphId) });
}

function named(graph, graphId) {
  return graph.name && graph.name !== DEFAULT_NAME ? graph.name : graphId;
}

function compiled(value) {
  const graph = isBuilder(value) ? value.compile() : value;
  if (!isGraph(graph)) throw new TypeError(`A graph factory has to return a graph, not a ${kindOf(graph)}`);
  return graph;
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
