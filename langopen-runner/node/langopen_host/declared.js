/**
 * JSON schemas of graphs whose state is declared in TypeScript alone.
 *
 * `Annotation<string>()` leaves nothing at run time that names its type, so the schemas come from the application's
 * source: a worker thread has the TypeScript compiler infer the types of all of the application's graphs. The first
 * request for a schema starts the worker, and the host keeps the answer, since the source of a running host does not
 * change.
 */

import { Worker } from "node:worker_threads";

import { clearTimeout, setTimeout } from "./intrinsics.js";

// How long a request waits for the compiler, in milliseconds. The variable is that of LangGraph's server.
const PATIENCE = Number.parseInt(process.env.LANGGRAPH_SCHEMA_RESOLVE_TIMEOUT_MS ?? "", 10) || 60_000;
// How long the compiler may go on after that, for later requests.
const LIMIT = 300_000;
// The compiler's memory, in MiB: more than the types of langchain's packages need.
const MEMORY = 1536;
const TYPESCRIPT = /\.([cm]?ts|tsx)$/;

/** The declared schemas of an application's graphs. */
export class DeclaredSchemas {
  #targets = [];
  #found = null;

  /** Adds a graph: the export `name` of `file`. */
  add(graphId, file, name) {
    if (TYPESCRIPT.test(file)) this.#targets.push({ graphId, file, name });
  }

  /**
   * The schemas `{state, input, output, config}` of a graph and its subgraphs by namespace, `""` for the graph itself.
   * Empty for a graph in plain JavaScript, and where the compiler finds nothing in time.
   */
  async of(graphId) {
    if (!this.#targets.some((target) => target.graphId === graphId)) return {};
    this.#found ??= infer(this.#targets).catch((error) => {
      console.warn("The schemas of the application's types could not be inferred:", error);
      return {};
    });
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(() => resolve({}), PATIENCE)));
    const found = await Promise.race([this.#found, late]);
    clearTimeout(timer);
    return found[graphId] ?? {};
  }
}

async function infer(targets) {
  const worker = new Worker(new URL("./declared_worker.js", import.meta.url), {
    workerData: targets,
    // The options that node started with are for the application's code.
    execArgv: [],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY },
  });
  let timer;
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`The compiler took more than ${LIMIT / 1000} s`)), LIMIT);
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (status) => reject(new Error(`The compiler's thread ended with status ${status}`)));
    });
  } finally {
    clearTimeout(timer);
    worker.terminate().catch(() => {});
  }
}
