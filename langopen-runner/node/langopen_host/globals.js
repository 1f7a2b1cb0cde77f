/**
 * Watches over globals that all runs of a host share.
 *
 * A node that replaces `JSON.stringify` or a timer breaks langgraph for every other run of the process. So when a run
 * ends, the host puts these functions back to what they were when the application had been loaded: an instrumentation
 * that replaces them at that time stays.
 */

const WATCHED = [
  [JSON, ["parse", "stringify"]],
  [globalThis, ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "setInterval", "clearInterval", "queueMicrotask"]],
  [globalThis, ["Promise", "AbortController", "AbortSignal"]],
];

export class Globals {
  #kept = WATCHED.flatMap(([owner, names]) => names.map((name) => [owner, name, owner[name]]));

  /** Puts the functions back, and returns the names of those that had been replaced. */
  restore() {
    return this.#kept.filter(([owner, name, kept]) => owner[name] !== kept).map(([owner, name, kept]) => {
      owner[name] = kept;
      return owner === JSON ? `JSON.${name}` : name;
    });
  }
}
