/**
 * The checkpoint saver that graphs get: checkpoints travel to the runner as the library's own bytes.
 *
 * The saver keeps a run's newest checkpoint, so reading it back needs neither a call nor a decode.
 */

import { stayAbove, stayAboveOwn } from "./checkpoint_ids.js";
import { parseBytes } from "./intrinsics.js";
import { decodePython } from "./python_values.js";
import { dumps } from "./serialize.js";

// Keys of a run's configurable that its checkpoints' metadata leaves out: the checkpoint's own address, and the user.
const LEFT_OUT = new Set([
  "checkpoint_id",
  "checkpoint_ns",
  "checkpoint_map",
  "langgraph_auth_user",
  "langgraph_auth_permissions",
]);
const NOTHING = new Uint8Array(0);

/** The class of savers on the application's own library; each instance serves one scope. */
export function saverClass(library) {
  const { BaseCheckpointSaver, WRITES_IDX_MAP, copyCheckpoint } = library.checkpoint;

  return class HostSaver extends BaseCheckpointSaver {
    #transient;

    /**
     * A `transient` saver keeps nothing beyond its scope: a graph may interrupt itself, but no client can resume it.
     */
    constructor(scope, { transient = false } = {}) {
      super();
      // Not enumerable: clients see configs, which may hold a saver.
      Object.defineProperty(this, "scope", { value: scope });
      this.#transient = transient;
    }

    async getTuple(config) {
      const { scope } = this;
      const [threadId, ns] = place(config);
      const checkpointId = config.configurable.checkpoint_id || null;
      const kept = scope.latest.get(key(threadId, ns));
      if (kept !== undefined && (checkpointId === null || kept.checkpoint.id === checkpointId)) {
        return this.#kept(threadId, ns, kept);
      }
      if (this.#transient || (kept === undefined && scope.freshThread && threadId === scope.threadId)) return undefined;
      const found = await scope.request("checkpoints.get", {
        thread_id: threadId,
        checkpoint_ns: ns,
        checkpoint_id: checkpointId,
      });
      return found === null ? undefined : await this.#decode(found);
    }

    async *list(config, { limit, before, filter } = {}) {
      const { configurable } = config;
      if (this.#transient) return;
      if (configurable?.thread_id === undefined) throw new Error("Checkpoints can be listed only for a thread");
      const found = await this.scope.request("checkpoints.list", {
        thread_id: String(configurable.thread_id),
        checkpoint_ns: configurable.checkpoint_ns ?? null,
        checkpoint_id: configurable.checkpoint_id || null,
        before: before?.configurable?.checkpoint_id || null,
        limit: limit ?? null,
        filter: filter && Object.keys(filter).length > 0 ? Buffer.from(dumps(filter)) : null,
      });
      for (const item of found) yield await this.#decode(item);
    }

    async put(config, checkpoint, metadata, newVersions) {
      const { scope } = this;
      const [threadId, ns] = place(config);
      const parent = config.configurable.checkpoint_id || null;
      const kept = remembered(config, metadata);
      const own = configOf(threadId, ns, checkpoint.id);
      stayAboveOwn(checkpoint.id);
      if (scope.threadId === threadId) this.#keep(threadId, ns, own, checkpoint, kept, parent);
      if (this.#transient) return own;
      const { channel_values: values, ...bare } = checkpoint;
      const changed = Object.entries(newVersions ?? checkpoint.channel_versions);
      const [[kind, bytes], ...blobs] = await Promise.all([
        this.serde.dumpsTyped(bare),
        ...changed.map(async ([channel, version]) => {
          const typed = channel in values ? await this.serde.dumpsTyped(values[channel]) : ["empty", NOTHING];
          return [channel, String(version), ...typed];
        }),
      ]);
      const params = {
        thread_id: threadId,
        checkpoint_ns: ns,
        checkpoint_id: checkpoint.id,
        parent_checkpoint_id: parent,
        type: kind,
        checkpoint: bytes,
        metadata: Buffer.from(dumps(kept)),
        channel_versions: Object.fromEntries(
          Object.entries(checkpoint.channel_versions).map(([channel, version]) => [channel, String(version)]),
        ),
        blobs,
      };
      await scope.write("checkpoints.put", params, blobs.reduce((size, blob) => size + blob[3].length, bytes.length + 512));
      return own;
    }

    async putWrites(config, writes, taskId, taskPath = "") {
      const { scope } = this;
      const [threadId, ns] = place(config);
      const checkpointId = config.configurable.checkpoint_id;
      if (scope.threadId === threadId) this.#rememberWrites(threadId, ns, checkpointId, taskId, taskPath, writes);
      if (this.#transient) return;
      const rows = await Promise.all(
        writes.map(async ([channel, value], position) => {
          const index = WRITES_IDX_MAP[channel] ?? position;
          return [index, channel, ...(await this.serde.dumpsTyped(value))];
        }),
      );
      const params = {
        thread_id: threadId,
        checkpoint_ns: ns,
        checkpoint_id: checkpointId,
        task_id: taskId,
        task_path: taskPath,
        writes: rows,
      };
      await scope.write("checkpoints.put_writes", params, rows.reduce((size, row) => size + row[3].length, 256));
    }

    async deleteThread(threadId) {
      for (const known of [...this.scope.latest.keys()]) {
        if (known.startsWith(key(threadId, ""))) this.scope.latest.delete(known);
      }
      await this.scope.request("checkpoints.delete_thread", { thread_id: String(threadId) });
    }

    /** A count, padded so that versions sort as text, and a random part that keeps two branches of a thread apart. */
    getNextVersion(current) {
      const count = current === undefined || current === null ? 0 : Number.parseInt(String(current).split(".", 1)[0], 10) || 0;
      return `${String(count + 1).padStart(32, "0")}.${Math.random().toFixed(14)}`;
    }

    #keep(threadId, ns, config, checkpoint, metadata, parent) {
      const { scope } = this;
      const before = scope.latest.get(key(threadId, ns));
      // As in the storage, the latest is the one that was put last.
      if (before !== undefined && before.checkpoint.id !== checkpoint.id) {
        scope.writes.delete(key(threadId, ns, before.checkpoint.id));
      }
      scope.latest.set(key(threadId, ns), {
        config,
        checkpoint,
        metadata,
        parentConfig: parent === null ? undefined : configOf(threadId, ns, parent),
      });
    }

    /** A copy of the run's newest checkpoint, since the caller changes the checkpoint that it gets. */
    #kept(threadId, ns, kept) {
      const written = this.scope.writes.get(key(threadId, ns, kept.checkpoint.id));
      const pendingWrites = written
        ? [...written.values()].sort(byOrder).map(({ taskId, channel, value }) => [taskId, channel, value])
        : [];
      return { ...kept, checkpoint: copyCheckpoint(kept.checkpoint), pendingWrites };
    }

    /** Keeps pending writes for the newest checkpoint. Writes may come before the checkpoint that they belong to. */
    #rememberWrites(threadId, ns, checkpointId, taskId, taskPath, writes) {
      const { scope } = this;
      const newest = scope.latest.get(key(threadId, ns));
      if (newest !== undefined && checkpointId < newest.checkpoint.id) return;
      const at = key(threadId, ns, checkpointId);
      if (!scope.writes.has(at)) scope.writes.set(at, new Map());
      const known = scope.writes.get(at);
      for (const [position, [channel, value]] of writes.entries()) {
        const index = WRITES_IDX_MAP[channel] ?? position;
        const id = key(taskId, index);
        // As in the library's savers: an ordinary write is final, a special one (error, interrupt) replaces the last.
        if (index < 0 || !known.has(id)) known.set(id, { taskId, index, taskPath, channel, value });
      }
    }

    async #decode(found) {
      const [checkpoint, values, writes] = await Promise.all([
        this.#load(found.type, found.checkpoint),
        Promise.all(
          found.channel_values
            .filter(([, kind]) => kind !== "empty")
            .map(async ([channel, kind, bytes]) => [channel, await this.#load(kind, bytes)]),
        ),
        Promise.all(
          found.pending_writes.map(async ([task, channel, kind, bytes]) => [task, channel, await this.#load(kind, bytes)]),
        ),
      ]);
      const { thread_id: threadId, checkpoint_ns: ns, parent_checkpoint_id: parent } = found;
      stayAbove(found.checkpoint_id, found.latest_id);
      return {
        config: configOf(threadId, ns, found.checkpoint_id),
        checkpoint: { ...checkpoint, channel_values: Object.fromEntries(values) },
        metadata: parseBytes(found.metadata),
        parentConfig: parent === null ? undefined : configOf(threadId, ns, parent),
        pendingWrites: writes,
      };
    }

    async #load(kind, bytes) {
      if (kind === "msgpack") return decodePython(bytes, library);
      if (kind === "null") return null;
      return await this.serde.loadsTyped(kind === "bytearray" ? "bytes" : kind, bytes);
    }
  };
}

/** A checkpoint's metadata: its own, the run's, and every key of the run's configurable, by which clients filter. */
function remembered(config, metadata) {
  const kept = {};
  const { configurable = {} } = config;
  for (const [name, value] of Object.entries(configurable)) {
    const isData = value !== undefined && value !== null && typeof value !== "function";
    if (isData && !name.startsWith("__") && !LEFT_OUT.has(name)) kept[name] = value;
  }
  for (const [name, value] of Object.entries(config.metadata ?? {})) {
    if (!name.startsWith("__")) kept[name] = value;
  }
  if (configurable.checkpoint_map) kept.checkpoint_map ??= configurable.checkpoint_map;
  return Object.assign(kept, metadata);
}

function place(config) {
  return [String(config.configurable.thread_id), config.configurable.checkpoint_ns ?? ""];
}

function configOf(threadId, ns, checkpointId) {
  return { configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: checkpointId } };
}

function key(...parts) {
  return parts.join("\u0000");
}

// By the bytes of the text, as the runner orders them, not by the rules of a language.
function byOrder(left, right) {
  return (
    Buffer.compare(Buffer.from(left.taskPath), Buffer.from(right.taskPath)) ||
    Buffer.compare(Buffer.from(left.taskId), Buffer.from(right.taskId)) ||
    left.index - right.index
  );
}
