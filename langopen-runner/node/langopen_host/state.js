/** ThreadState documents from langgraph's snapshots, and the calls that read and change a thread's state. */

import { toCommand } from "./command.js";
import { stringify } from "./intrinsics.js";

// Keys of a configurable that name a checkpoint, in the order in which the API shows them.
const CHECKPOINT_KEYS = ["checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map"];
const SUBGRAPH_KEYS = ["thread_id", "checkpoint_ns", "checkpoint_id"];

/** A ThreadState, `values` first, then the rest. */
export function document(snapshot) {
  return { values: snapshot.values, ...rest(snapshot) };
}

/** A ThreadState without its values. */
export function rest(snapshot) {
  const at = exists(snapshot) ? checkpointOf(snapshot.config) : null;
  const parent = checkpointOf(snapshot.parentConfig);
  return {
    next: [...snapshot.next],
    tasks: snapshot.tasks.map(taskDocument),
    metadata: snapshot.metadata ?? null,
    created_at: snapshot.createdAt ?? null,
    checkpoint: at,
    parent_checkpoint: parent,
    interrupts: snapshot.tasks.flatMap((task) => task.interrupts ?? []).map(interruptDocument),
    checkpoint_id: at?.checkpoint_id ?? null,
    parent_checkpoint_id: parent?.checkpoint_id ?? null,
  };
}

/** The rest of a ThreadState for a run that keeps no checkpoints. */
export function minimal(interrupts) {
  return {
    next: [],
    tasks: [],
    metadata: null,
    created_at: null,
    checkpoint: null,
    parent_checkpoint: null,
    interrupts,
    checkpoint_id: null,
    parent_checkpoint_id: null,
  };
}

/** Whether there is a checkpoint at all. */
export function exists(snapshot) {
  return snapshot.metadata !== undefined && snapshot.metadata !== null;
}

/** `{checkpoint_id, thread_id, checkpoint_ns[, checkpoint_map]}` of a snapshot's config; null if it names no checkpoint. */
export function checkpointOf(config) {
  const named = picked(config?.configurable, CHECKPOINT_KEYS);
  return named?.checkpoint_id ? named : null;
}

/** An interrupt in a state: `{id, value}`, with `response_schema` only when the graph gave one. */
export function interruptDocument({ id, value, response_schema: schema }) {
  return schema === undefined || schema === null ? { id, value } : { id, value, response_schema: schema };
}

/** A task of a snapshot or of a checkpoint in the stream. */
export function taskDocument(task) {
  const nested = isSnapshot(task.state) ? task.state : null;
  const at = nested === null ? picked(task.state?.configurable, SUBGRAPH_KEYS) : null;
  return {
    id: task.id,
    name: task.name,
    path: task.path,
    error: errorText(task.error),
    interrupts: (task.interrupts ?? []).map(interruptDocument),
    checkpoint: at,
    state: nested === null ? null : document(nested),
    result: task.result ?? null,
  };
}

/** The open interrupts by the id of the task that raised them; for a subgraph's, its innermost task. */
function pending(snapshot) {
  const found = {};
  for (const task of snapshot.tasks) {
    if (!task.interrupts?.length) continue;
    const inner = isSnapshot(task.state) ? pending(task.state) : {};
    if (Object.keys(inner).length > 0) Object.assign(found, inner);
    else found[task.id] = task.interrupts.map(interruptDocument);
  }
  return found;
}

/** The open interrupts by task; looks into subgraphs only when one of them is interrupted. */
export async function interruptsOf(graph, config, snapshot) {
  const deep = snapshot.tasks.some((task) => task.interrupts?.length && task.state !== undefined);
  return pending(deep ? await graph.getState(config, { subgraphs: true }) : snapshot);
}

/** `state.get`: the ThreadState, and its summary beside it. */
export async function get(graph, config, params) {
  const snapshot = await graph.getState(config, { subgraphs: Boolean(params.subgraphs) });
  return { state: document(snapshot), thread: await threadOf(graph, config, snapshot) };
}

/** `state.history`: ThreadStates, newest first. */
export async function history(graph, config, params) {
  const options = { filter: params.metadata ?? undefined, before: params.before ?? undefined, limit: params.limit ?? undefined };
  const found = [];
  for await (const snapshot of graph.getStateHistory(config, options)) found.push(document(snapshot));
  return found;
}

/** `state.update`: one update, alone in its superstep. */
export function update(graph, config, params) {
  return apply(graph, config, [{ updates: [{ values: params.values, asNode: params.as_node ?? undefined }] }]);
}

/** `state.bulk_update`: supersteps of updates; an update may be a command instead of values. */
export function bulkUpdate(graph, config, params, { library }) {
  const supersteps = (params.supersteps ?? []).map(({ updates }) => ({
    updates: (updates ?? []).map(({ values, command, as_node: asNode }) => ({
      values: command ? toCommand(command, library) : values,
      asNode: asNode ?? undefined,
    })),
  }));
  return apply(graph, config, supersteps);
}

async function apply(graph, config, supersteps) {
  const { thread_id, checkpoint_ns = "", checkpoint_id } = (await graph.bulkUpdateState(config, supersteps)).configurable;
  const newest = { configurable: { thread_id, checkpoint_ns: "" } };
  const snapshot = await graph.getState(newest);
  return {
    checkpoint: { thread_id, checkpoint_ns, checkpoint_id },
    state: document(snapshot),
    thread: await threadOf(graph, newest, snapshot),
  };
}

/** The summary that updates the thread's row. */
async function threadOf(graph, config, snapshot) {
  const at = exists(snapshot) ? checkpointOf(snapshot.config) : null;
  return {
    status: snapshot.next.length > 0 ? "interrupted" : "idle",
    interrupts: await interruptsOf(graph, config, snapshot),
    checkpoint_id: at?.checkpoint_id ?? null,
  };
}

function isSnapshot(state) {
  return state !== null && typeof state === "object" && "values" in state && "next" in state;
}

function errorText(error) {
  if (error === undefined || error === null || typeof error === "string") return error ?? null;
  return `${error.name ?? error.error ?? "Error"}(${stringify(error.message ?? String(error))})`;
}

function picked(configurable, keys) {
  if (!configurable) return null;
  return Object.fromEntries(keys.filter((name) => name in configurable).map((name) => [name, configurable[name]]));
}
