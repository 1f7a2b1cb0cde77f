/** The host: answers the runner's frames and holds the runs in flight. */

import { AppAuth } from "./auth.js";
import { serve } from "./calls.js";
import { Connection } from "./connection.js";
import * as errors from "./errors.js";
import { Exchanges } from "./exchange.js";
import * as frames from "./frames.js";
import { Globals } from "./globals.js";
import { Graphs } from "./graphs.js";
import { now, parseBytes, setTimeout } from "./intrinsics.js";
import { isCommonJs, langgraphVersion, loadLibrary } from "./library.js";
import { locate } from "./loading.js";
import { Capture } from "./logs.js";
import * as loopback from "./loopback.js";
import { refusal, Run } from "./run.js";
import { saverClass } from "./saver.js";
import { currentRun, Scope } from "./scope.js";
import { dumps } from "./serialize.js";
import { storeClass } from "./store.js";
import { StoreIndex } from "./store_index.js";
import { Bundles } from "./ui.js";
import { WebApp } from "./web.js";

const PROTOCOL_VERSION = 2;
// How long runs may take to unwind when the host is told to stop, in milliseconds.
const SHUTDOWN_GRACE = 5000;
// The name of the error that `process.exit` throws.
const EXIT = "SystemExit";

export class Host {
  /** Resolves with the exit status when the host should end. */
  ended;
  #end;
  #connection;
  #capture;
  // `{graphs, library}`: the parts of the application that runs and calls need.
  #app = { graphs: new Graphs(), library: null };
  // Each null where the application has none.
  #auth = null;
  #index = null;
  #web = null;
  #ui = null;
  #exchanges;
  // Set when the application is loaded.
  #globals = null;
  #isReady = false;
  #runs = new Map();
  #server = {};

  /** Introduces this host on a connected socket and takes over the process's outputs. */
  constructor(socket, token) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#connection = new Connection(
      socket,
      (kind, stream, payload) => this.#frame(kind, stream, payload),
      () => this.#lost(),
    );
    this.#exchanges = new Exchanges(this.#connection);
    const greeting = {
      protocol: PROTOCOL_VERSION,
      token,
      pid: process.pid,
      node_version: process.versions.node,
      langgraph_version: langgraphVersion(process.cwd()) ?? "unknown",
    };
    this.#send(frames.HELLO, 0, greeting);
    this.#capture = new Capture(this.#connection);
    // Errors outside of the run's own promises must not end the process: other runs share it.
    process.on("unhandledRejection", (reason) => {
      this.#stray("A promise was rejected and nothing handled the rejection:", reason, reason?.name === EXIT);
    });
    process.on("uncaughtException", (error) => this.#stray("An error was thrown and nothing caught it:", error, true));
    process.exit = (status) => {
      throw Object.assign(new Error(`process.exit(${status ?? ""}) was called: a graph cannot end its process`), { name: EXIT });
    };
  }

  /**
   * Logs an error that no code waits for, as output of the run whose code caused it. A `fatal` one also fails that run:
   * the run may wait for ever for what the error prevented.
   */
  #stray(message, error, fatal) {
    this.#capture.report(message, error);
    if (fatal) currentRun()?.fail(error ?? new Error(`${error} was thrown`));
  }

  #frame(kind, stream, payload) {
    try {
      this.#handle(kind, stream, payload);
    } catch (error) {
      // The frames after this one belong to other runs.
      this.#capture.report(`A frame of kind ${kind} could not be handled:`, error);
    }
  }

  #handle(kind, stream, payload) {
    switch (kind) {
      case frames.INIT:
        this.#load(parseBytes(payload));
        break;
      case frames.PING:
        this.#connection.send(frames.PONG, 0, payload);
        break;
      case frames.SHUTDOWN:
        this.#stop();
        break;
      case frames.RUN:
        this.#run(stream, payload);
        break;
      case frames.CANCEL:
        this.#runs.get(stream)?.cancel();
        break;
      case frames.CREDIT:
        this.#runs.get(stream)?.addCredit(payload.readUInt32BE(0));
        break;
      case frames.CALL:
        this.#answer(stream, payload);
        break;
      case frames.HTTP_REQUEST:
        this.#request(stream, payload);
        break;
      default:
        if (kind >= frames.HTTP_RESPONSE) this.#exchanges.frame(kind, stream, payload);
    }
  }

  async #load(init) {
    const { graphs, base_dir: baseDir, server = {}, auth, store_index: index, http = {}, ui } = init;
    // The target that is loading, for the message if it fails.
    let at = { graphId: null, target: "" };
    try {
      loopback.install(this.#exchanges, http.root_path ?? "", () => this.#isReady);
      at = { graphId: null, target: "LANGGRAPH_CONFIG" };
      this.#app.graphs.readConfigs(process.env.LANGGRAPH_CONFIG);
      const [first] = Object.entries(graphs);
      if (first !== undefined) {
        at = { graphId: first[0], target: first[1].target };
        await this.#loadLibrary(locate(`graph ${JSON.stringify(first[0])}`, first[1].target, baseDir).file, server);
      }
      if (index) {
        at = { graphId: null, target: `store.index.embed (${index.embed})` };
        this.#index = await StoreIndex.load(index, baseDir);
      }
      const { library } = this.#app;
      if (library !== null) this.#app.graphs.use(saverClass(library), storeClass(library, this.#index, init.store_ttl));
      for (const [graphId, { target, description }] of Object.entries(graphs)) {
        at = { graphId, target };
        await this.#app.graphs.load(graphId, target, description, baseDir);
      }
      if (auth) {
        at = { graphId: null, target: auth.path };
        this.#auth = await AppAuth.load(auth.path, baseDir);
      }
      if (http.app) {
        at = { graphId: null, target: http.app };
        this.#web = await WebApp.load(http.app, baseDir, this.#exchanges);
      }
      if (ui) {
        at = { graphId: null, target: "ui" };
        this.#ui = await Bundles.make(ui, baseDir);
      }
    } catch (error) {
      this.#fatal(at, error);
      return;
    }
    this.#globals = new Globals();
    this.#isReady = true;
    this.#send(frames.READY, 0, {
      graphs: this.#app.graphs.described(),
      embeds: this.#index !== null,
      auth: this.#auth?.described() ?? null,
      http: this.#web?.description ?? null,
      ui: this.#ui?.described() ?? {},
    });
  }

  async #loadLibrary(file, server) {
    this.#app.library = await loadLibrary(file, isCommonJs(file));
    this.#server = {
      langgraph_version: this.#app.library.version,
      langgraph_api_version: server.api_version,
      langgraph_plan: server.plan,
      langgraph_host: server.host,
      langgraph_api_url: server.api_url,
    };
  }

  #fatal({ graphId, target }, error) {
    const failure = {
      error: error?.kind ?? errors.className(error),
      message: errors.messageOf(error),
      traceback: errors.userTraceback(error),
      graph_id: graphId,
      target,
    };
    this.#send(frames.FATAL, 0, failure);
    this.#exit(1);
  }

  async #run(handle, payload) {
    let run;
    try {
      run = new Run(this.#connection, this.#app, handle, parseBytes(payload), this.#server);
    } catch (error) {
      this.#connection.send(frames.DONE, handle, refusal(error));
      return;
    }
    run.beforeDone = (ended) => this.#capture.finish(ended);
    this.#runs.set(handle, run);
    await run.start();
    this.#runs.delete(handle);
    this.#restoreGlobals(run);
    // The run's code may print after the run's end.
    this.#capture.finish(run);
  }

  #restoreGlobals(run) {
    const replaced = this.#globals?.restore() ?? [];
    if (replaced.length === 0) return;
    run.enter(() => console.warn(`${replaced.join(", ")} had been replaced during this run; the host put them back for other runs`));
  }

  #request(number, payload) {
    if (this.#web === null) this.#connection.send(frames.HTTP_ABORT, number, Buffer.alloc(0));
    else this.#web.serve(number, parseBytes(payload));
  }

  async #answer(id, payload) {
    const scope = new Scope(this.#connection, { call: id });
    try {
      const { method, params } = parseBytes(payload);
      const result = await scope.enter(() => this.#serve(method, params, scope));
      this.#send(frames.REPLY, id, result);
    } catch (error) {
      this.#send(frames.ERROR, id, { error: errors.clientClass(error), message: errors.messageOf(error) });
    }
  }

  async #serve(method, params, scope) {
    if (this.#auth !== null && method === "auth.authenticate") return this.#auth.authenticate(params);
    if (this.#auth !== null && method === "auth.authorize") return this.#auth.authorize(params);
    if (this.#index !== null && method === "store.embed_value") return this.#index.embedValue(params.value, params.fields);
    if (this.#index !== null && method === "store.embed_query") return this.#index.embedQuery(params.query);
    if (this.#ui !== null && method === "ui.files") return this.#ui.files(params.name);
    const result = await serve(method, params, this.#app, scope);
    if (result === undefined) throw Object.assign(new Error(`There is no method '${method}'`), { name: "UnsupportedOperation" });
    return result;
  }

  async #stop() {
    for (const run of this.#runs.values()) run.cancel();
    this.#web?.stop();
    const deadline = now() + SHUTDOWN_GRACE;
    while (this.#runs.size > 0 && now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    this.#exit(0);
  }

  #lost() {
    for (const run of this.#runs.values()) run.cancel();
    this.#exchanges.breakOff();
    this.#exit(1);
  }

  async #exit(status) {
    await this.#connection.close();
    this.#end(status);
  }

  #send(kind, stream, document) {
    this.#connection.send(kind, stream, Buffer.from(dumps(document)));
  }
}
