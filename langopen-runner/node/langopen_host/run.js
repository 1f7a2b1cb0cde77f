/** One run: from a RUN frame to its DONE. */

import { toCommand } from "./command.js";
import { contextOf, runConfig } from "./config.js";
import * as errors from "./errors.js";
import * as frames from "./frames.js";
import { EXECUTION } from "./graphs.js";
import { setTimeout } from "./intrinsics.js";
import { Scope } from "./scope.js";
import { ProtocolPlan } from "./protocol.js";
import { dumps } from "./serialize.js";
import { Reporter } from "./spans.js";
import * as state from "./state.js";
import { Plan } from "./stream.js";
import { Turns } from "./turns.js";

const INITIAL_CREDIT = 1024 * 1024;
// How long a cancelled run may take to unwind, in milliseconds. Then the host abandons code that ignores its signal.
const CANCEL_GRACE = 10_000;

/** A DONE frame's payload for a run that cannot begin: its RUN frame cannot be read. */
export function refusal(error) {
  const head = {
    status: "error",
    thread_status: "error",
    error: errors.publicError(error),
    detail: errors.detail(error),
    retryable: false,
    interrupts: {},
    checkpoint_id: null,
    has_state: false,
  };
  return frames.donePayload(dumps(head), "", "");
}

/** A run in flight. `spec` is the RUN frame's document, `server` the metadata that every run of this host gets. */
export class Run extends Scope {
  // Called before DONE, after which frames of the run are ignored.
  beforeDone = null;
  #app;
  #spec;
  #kwargs;
  #temporary;
  #durability;
  #plan;
  #config;
  // Null for a run without a trace.
  #spans = null;
  #credit = INITIAL_CREDIT;
  #refill = null;
  #abort = new AbortController();
  #cancelled = false;
  // An error that the run's code threw where no promise of the run could see it.
  #thrown = null;
  // The graph has ended and the run reads its final state: too late to cancel.
  #finishing = false;
  #sent = false;

  constructor(connection, app, handle, spec, server) {
    super(connection, { run: handle });
    this.handle = handle;
    this.runId = spec.run_id;
    this.threadId = spec.thread_id ?? null;
    this.freshThread = Boolean(spec.fresh_thread);
    this.onFailure = () => this.#interrupt();
    this.#app = app;
    this.#spec = spec;
    this.#kwargs = spec.kwargs ?? {};
    this.#temporary = Boolean(spec.temporary);
    this.#durability = durabilityOf(this.#kwargs);
    this.writeBehind = this.#durability !== "sync";
    this.#plan = planOf(modesOf(this.#kwargs), app.library, this.#temporary);
    if (spec.trace?.report) this.#spans = new Reporter(connection, handle, spec.trace, spec.graph_id);
    const callbacks = this.#spans === null ? [new Turns()] : [new Turns(), this.#spans];
    this.#config = { ...runConfig(spec, server), signal: this.#abort.signal, callbacks };
  }

  /** Executes the run; resolves when DONE is sent and the run's code has ended. */
  start() {
    return this.enter(() => this.#main());
  }

  /** Stops the run; its DONE says `cancelled`. The host abandons a node that ignores its signal. */
  cancel() {
    if (this.#cancelled || this.#finishing) return;
    this.#cancelled = true;
    this.#interrupt();
    setTimeout(() => this.#finish(this.#abort.signal.reason), CANCEL_GRACE).unref();
  }

  /** Fails the run with an error that its code threw outside of the graph's own promises. */
  fail(error) {
    if (this.#thrown !== null || this.#cancelled || this.#finishing) return;
    this.#thrown = error;
    this.#interrupt();
    setTimeout(() => this.#finish(error), CANCEL_GRACE).unref();
  }

  addCredit(size) {
    this.#credit += size;
    if (this.#credit > 0) this.#refill?.();
  }

  #interrupt() {
    if (this.#finishing) return;
    this.#abort.abort();
    this.#refill?.();
  }

  async #main() {
    const { graph_id: graphId } = this.#spec;
    let graph;
    try {
      const context = this.#kwargs.context ?? this.#config.configurable;
      graph = await this.#app.graphs.open(graphId, this.#config, EXECUTION, this, { temporary: this.#temporary, context });
    } catch (error) {
      this.#finish(error);
      return;
    }
    let failure = null;
    try {
      this.#plan.attach(graph);
      await this.#execute(graph);
      await this.#emit(await this.#plan.drain());
    } catch (error) {
      failure = this.#thrown ?? error ?? new Error(`${error} was thrown`);
    }
    this.#finishing = true;
    failure ??= this.#thrown;
    if (failure !== null) this.#failPlan(failure);
    try {
      const [snapshot, interrupts] = await this.#finalState(graph);
      await this.settle();
      this.#finish(this.failure ?? failure, snapshot, interrupts);
    } catch (error) {
      this.#finish(this.failure ?? failure ?? error);
    }
  }

  /** Tells the stream's transformers of a failure. They are user code, whose errors must not hide the failure. */
  #failPlan(failure) {
    try {
      this.#plan.fail(failure);
    } catch (error) {
      console.error("A stream transformer failed:", error);
    }
  }

  async #execute(graph) {
    let given = this.#kwargs.command ? toCommand(this.#kwargs.command, this.#app.library) : (this.#kwargs.input ?? null);
    if ((this.#spec.attempt ?? 1) > 1 && !this.#temporary) {
      const progress = await this.#progress(graph);
      if (progress === "finished") return;
      if (progress === "started") {
        given = null;
        delete this.#config.configurable.checkpoint_id;
        delete this.#config.configurable.checkpoint_map;
      }
    }
    this.#abort.signal.throwIfAborted();
    const subgraphs = Boolean(this.#kwargs.subgraphs);
    const options = this.#options(graph, subgraphs);
    const convert = (chunk) => (subgraphs ? this.#plan.convert(...chunk) : this.#plan.convert([], ...chunk));
    if (this.#plan.events) {
      for await (const record of graph.streamEvents(given, { ...options, version: "v2" })) {
        const own = record.event === "on_chain_stream" && record.run_id === this.runId;
        await this.#emit(own ? convert(record.data.chunk) : [["events", dumps(record)]]);
      }
      return;
    }
    for await (const chunk of await graph.stream(given, options)) await this.#emit(convert(chunk));
  }

  #options(graph, subgraphs) {
    const { interrupt_before: before, interrupt_after: after } = this.#kwargs;
    const options = { ...this.#config, streamMode: this.#plan.modes, subgraphs, ...this.#plan.options };
    const context = contextOf(graph, this.#kwargs);
    if (context !== undefined) options.context = context;
    if (!this.#temporary && this.#durability !== null) options.durability = this.#durability;
    if (before?.length) options.interruptBefore = nodes(before);
    if (after?.length) options.interruptAfter = nodes(after);
    return options;
  }

  /** How far an earlier attempt of this run came: `none`, `started` or `finished`. */
  async #progress(graph) {
    const snapshot = await graph.getState(this.#newest());
    if (!state.exists(snapshot) || snapshot.metadata.run_id !== this.runId) return "none";
    // Not `next`, which leaves out a task with stored writes and no checkpoint; such a task still has to be finished.
    if (snapshot.tasks.length > 0) return "started";
    return snapshot.metadata.source === "loop" ? "finished" : "none";
  }

  #newest() {
    return { configurable: { thread_id: this.threadId, checkpoint_ns: "" } };
  }

  /** The thread's snapshot and its open interrupts; null for a run that keeps no checkpoints. */
  async #finalState(graph) {
    if (this.#temporary) return [null, {}];
    const newest = this.#newest();
    const snapshot = await graph.getState(newest);
    return [snapshot, await state.interruptsOf(graph, newest, snapshot)];
  }

  async #emit(events) {
    for (const [name, json] of events) {
      while (this.#credit <= 0 && !this.#abort.signal.aborted) await this.#moreCredit();
      this.#abort.signal.throwIfAborted();
      if (this.#sent) throw new Error("the run was left behind");
      this.#send(name, json);
    }
  }

  #send(name, json) {
    const payload = frames.eventPayload(name, json);
    this.#credit -= payload.length + frames.EVENT_COST;
    this.connection.send(frames.EVENT, this.handle, payload, { urgent: false });
  }

  async #moreCredit() {
    await new Promise((resolve) => (this.#refill = resolve));
    this.#refill = null;
  }

  /** Sends DONE with the thread's state, as far as the run could read it. */
  #finish(raised, snapshot = null, interrupts = {}) {
    if (this.#sent || !this.connection.connected) return;
    // An error that user code throws because of a cancel is no failure of the run.
    const cancelled = this.#cancelled && (raised === null || !errors.isRetryable(raised));
    const error = cancelled ? null : raised;
    const { values, rest, checkpointId, stopped } = this.#documents(snapshot);
    // Only now: if the state has no JSON form, the caller finishes the run with that error.
    this.#sent = true;
    const ended = error !== null || cancelled ? "failed" : stopped ? "interrupted" : "completed";
    for (const [name, json] of this.#plan.closing(ended)) this.#send(name, json);
    this.beforeDone?.(this);
    this.#spans?.finish(error, cancelled);
    const head = {
      status: cancelled ? "cancelled" : error === null ? "success" : "error",
      thread_status: error !== null ? "error" : stopped ? "interrupted" : "idle",
      error: error === null ? null : errors.publicError(error),
      detail: error === null ? null : errors.detail(error),
      retryable: error !== null && errors.isRetryable(error),
      interrupts,
      checkpoint_id: checkpointId,
      has_state: rest !== "",
    };
    this.connection.send(frames.DONE, this.handle, frames.donePayload(dumps(head), values, rest));
  }

  /** The values, the rest of the state, its checkpoint, and whether the thread waits for input. */
  #documents(snapshot) {
    const nothing = { values: "", rest: "", checkpointId: null, stopped: false };
    if (this.#temporary) {
      if (!this.#plan.hasValues) return nothing;
      const raised = this.#plan.interrupts.map(state.interruptDocument);
      return {
        values: dumps(this.#plan.lastValues),
        rest: dumps(state.minimal(raised)),
        checkpointId: null,
        stopped: raised.length > 0,
      };
    }
    if (snapshot === null) return nothing;
    const rest = state.rest(snapshot);
    return {
      values: dumps(snapshot.values),
      rest: dumps(rest),
      checkpointId: rest.checkpoint_id,
      stopped: snapshot.next.length > 0,
    };
  }
}

function modesOf({ stream_mode: modes }) {
  return modes?.length ? [modes].flat() : ["values"];
}

function planOf(modes, library, temporary) {
  return modes.includes("lifecycle") ? new ProtocolPlan(library, { temporary }) : new Plan(modes, { temporary });
}

function durabilityOf({ durability, checkpoint_during: during }) {
  if (durability) return durability;
  return during === undefined || during === null ? null : during ? "async" : "exit";
}

function nodes(names) {
  return names === "*" || (names.length === 1 && names[0] === "*") ? "*" : names;
}
