/**
 * The scope of running code: a run, or a call of the runner.
 *
 * Each access to a graph gets a saver and a store of its own, which know their scope. Code without them (output, and
 * clients of the API) finds its scope by the async context.
 */

import { AsyncLocalStorage } from "node:async_hooks";

// Bytes of checkpoint writes that a run may have on their way before a further write waits.
const MAX_UNSETTLED = 16 * 1024 * 1024;

const storage = new AsyncLocalStorage();

/** One run (`run` is its handle) or one call from the runner (`call` is its id), as an owner of calls. */
export class Scope {
  runId = null;
  // The thread whose checkpoints only this run writes, and whether the thread had none at the start.
  threadId = null;
  freshThread = false;
  writeBehind = false;
  // The newest checkpoints, by thread and namespace: `{config, checkpoint, metadata, parentConfig}`.
  latest = new Map();
  // Pending writes of these checkpoints, by task and index.
  writes = new Map();
  failure = null;
  onFailure = null;
  #unsettled = 0;
  #unsettledBytes = 0;
  #settled = null;

  constructor(connection, { run = null, call = null } = {}) {
    this.connection = connection;
    this.run = run;
    this.call = call;
  }

  /** Runs `work` and what it starts with this scope as the current one. */
  enter(work) {
    return storage.run(this, work);
  }

  /** Calls the runner on behalf of the run or the call. */
  request(method, params) {
    return this.connection.request(method, this.#owned(params));
  }

  /** Writes a checkpoint: in the background when durability allows it, otherwise the caller waits for the runner. */
  async write(method, params, size) {
    if (!this.writeBehind || this.#unsettledBytes > MAX_UNSETTLED) {
      await this.request(method, params);
      return;
    }
    this.#unsettled += 1;
    this.#unsettledBytes += size;
    this.connection.call(method, this.#owned(params), (error) => this.#receipt(size, error), { urgent: false });
  }

  /** Waits for all writes to be answered. Throws the first failure. */
  async settle() {
    while (this.#unsettled > 0 && this.failure === null) {
      await new Promise((resolve) => (this.#settled = resolve));
    }
    if (this.failure !== null) throw this.failure;
  }

  #owned(params) {
    return this.run === null ? { ...params, run: null, call: this.call } : { ...params, run: this.run };
  }

  #receipt(size, error) {
    this.#unsettled -= 1;
    this.#unsettledBytes -= size;
    if (error && this.failure === null) {
      this.failure = error;
      this.onFailure?.();
    }
    if (this.#settled !== null && (this.#unsettled === 0 || error)) {
      this.#settled();
      this.#settled = null;
    }
  }
}

/** The run that the running code belongs to; null for the code of a call, and outside of any scope. */
export function currentRun() {
  const scope = storage.getStore();
  return scope === undefined || scope.run === null ? null : scope;
}
