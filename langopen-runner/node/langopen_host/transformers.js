/**
 * The stream transformers of a graph (`compile({ transformers })`) at work on one run of the event streaming protocol.
 *
 * A transformer sees every event of the run in the protocol's shape. It may hide an event, push items into channels,
 * and promise values. Items of a named channel and resolved values leave the host as `custom` events `{name, payload}`,
 * which is where clients look for `thread.extensions.<name>`.
 *
 * langgraph's own `streamEvents(..., { version: "v3" })` keeps all events of a run in memory and runs ahead of the
 * reader. This class handles one chunk at a time, so the run's credit still bounds what waits.
 */

import { clearTimeout, setTimeout } from "./intrinsics.js";

const CHANNEL = Symbol.for("langgraph.stream_channel");
// How long promised values may take after the graph's end, in milliseconds.
const PATIENCE = 10_000;

export class Transformers {
  #convert;
  #transformers = [];
  #channels = [];
  // `[name, promise]` of the values that projections promise.
  #promised = [];
  #namespace = [];
  #seq = 0;
  // `custom` events that wait to be sent: `[namespace, data]`.
  #out = [];

  /** `factories` are the graph's `streamTransformers`. Null if there is none, or if the library has no transformers. */
  static of(factories, library) {
    const { convertToProtocolEvent: convert, isNativeTransformer: isNative } = library.langgraph;
    return factories?.length && convert !== undefined ? new Transformers(factories, convert, isNative) : null;
  }

  constructor(factories, convert, isNative = () => false) {
    this.#convert = convert;
    for (const make of factories) {
      const transformer = make();
      this.#transformers.push(transformer);
      transformer.onRegister?.({ push: (namespace, event) => this.#process(namespace, event) });
      const projection = transformer.init();
      // Projections of the library's own transformers are for callers in the same process.
      if (!isNative(transformer)) this.#wire(projection ?? {});
    }
  }

  /** Shows a chunk of langgraph's stream to the transformers: whether it goes on to the client. */
  keeps(namespace, mode, payload) {
    const events = this.#convert({ namespace, mode, payload, seq: this.#seq });
    return events.map((event) => this.#process(namespace, event)).every(Boolean);
  }

  /** Shows an event of a graph's lifecycle to the transformers. */
  keepsLifecycle(namespace, data) {
    const params = { namespace, timestamp: Date.now(), data };
    return this.#process(namespace, { type: "event", seq: this.#seq, method: "lifecycle", params });
  }

  /** The `custom` events since the last call, as `[namespace, data]`. */
  take() {
    return this.#out.splice(0);
  }

  /** Ends the transformers after the graph's end; `take` then has their last events. */
  async close() {
    const ending = this.#transformers.map(async (transformer) => await transformer.finalize?.());
    for (const channel of this.#channels) channel._close();
    const values = this.#promised.map(async ([name, promise]) => {
      const payload = await promise;
      this.#out.push([[], { name, payload }]);
    });
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE, true)));
    const isLate = await Promise.race([Promise.allSettled([...ending, ...values]), late]);
    clearTimeout(timer);
    if (isLate === true) console.warn(`A stream transformer did not end within ${PATIENCE / 1000} s; its values are left out`);
  }

  /** Ends the transformers of a run that failed. */
  fail(error) {
    for (const transformer of this.#transformers) transformer.fail?.(error);
    for (const channel of this.#channels) channel._fail(error);
    this.#out = [];
  }

  #process(namespace, event) {
    const outer = this.#namespace;
    this.#namespace = namespace;
    this.#seq += 1;
    try {
      return this.#transformers.map((transformer) => Boolean(transformer.process(event))).every(Boolean);
    } finally {
      this.#namespace = outer;
    }
  }

  #wire(projection) {
    for (const [name, value] of Object.entries(projection)) {
      if (value?.[CHANNEL] === true) this.#wireChannel(value);
      else if (typeof value?.then === "function") this.#promise(name, value);
    }
  }

  #wireChannel(channel) {
    this.#channels.push(channel);
    const { channelName: name } = channel;
    if (typeof name === "string") channel._wire((payload) => this.#out.push([this.#namespace, { name, payload }]));
  }

  #promise(name, value) {
    const promise = Promise.resolve(value);
    // A rejection means that there is no value.
    promise.catch(() => {});
    this.#promised.push([name, promise]);
  }
}
