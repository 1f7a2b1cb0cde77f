/** The one connection to the runner: framing, coalesced writes, and calls with their replies. */

import { decode, encode } from "@msgpack/msgpack";

import { CallFailed, ConnectionLost } from "./failures.js";
import * as frames from "./frames.js";
import { clearImmediate, clearTimeout, now, setImmediate, setTimeout } from "./intrinsics.js";

// Least time between two writes of frames that nothing waits for, in milliseconds.
const PACE = 1;

/**
 * Frames over a socket. `onFrame(kind, stream, payload)` gets every frame but the replies to our calls.
 *
 * The connection writes the queued frames once per turn of the loop. Events within a millisecond share a write: the
 * first leaves at once, so a lone token is not delayed, and a burst does not cost a system call and a wake-up for each
 * token.
 */
export class Connection {
  #socket;
  #onFrame;
  #onLost;
  #decoder = new frames.Decoder();
  #out = [];
  // Bytes of frames in `#out`.
  #queued = 0;
  #immediate = null;
  #timer = null;
  #written = 0;
  #paused = false;
  #waiters = new Map();
  #lastCall = 0;

  constructor(socket, onFrame, onLost) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    this.#onLost = onLost;
    socket.setNoDelay(true);
    socket.on("data", (data) => this.#received(data));
    socket.on("drain", () => {
      this.#paused = false;
      this.#flush();
    });
    // A broken connection closes, and the close is handled.
    socket.on("error", () => {});
    socket.on("close", () => this.#lost());
  }

  get connected() {
    return this.#socket !== null;
  }

  /** How many bytes of frames wait for the runner to read them. */
  get waiting() {
    return this.#queued + (this.#socket?.writableLength ?? 0);
  }

  /** Queues a frame. */
  send(kind, stream, payload, { urgent = true } = {}) {
    this.#out.push(frames.header(kind, stream, payload.length), payload);
    this.#queued += payload.length;
    if (this.#immediate !== null) return;
    if (!urgent) {
      if (this.#timer !== null) return;
      if (now() - this.#written < PACE) {
        this.#timer = setTimeout(() => this.#flush(), PACE);
        return;
      }
    }
    this.#immediate = setImmediate(() => this.#flush());
  }

  /** Calls the runner, and `settle(error, result)` with the reply. */
  call(method, params, settle, { urgent = true } = {}) {
    if (this.#socket === null) throw new ConnectionLost("the connection to the runner was lost");
    this.#lastCall = (this.#lastCall % 0xffffffff) + 1;
    this.#waiters.set(this.#lastCall, settle);
    this.send(frames.CALL, this.#lastCall, encode({ method, params }), { urgent });
  }

  /** Calls the runner and returns the reply. */
  request(method, params) {
    return new Promise((resolve, reject) => {
      this.call(method, params, (error, result) => (error ? reject(error) : resolve(result)));
    });
  }

  /** Writes the queued frames and closes; resolves when all of them are on their way. */
  close() {
    this.#paused = false;
    this.#flush();
    const socket = this.#socket;
    return new Promise((resolve) => (socket === null ? resolve() : socket.end(resolve)));
  }

  #received(data) {
    let received;
    try {
      received = this.#decoder.feed(data);
    } catch {
      this.#socket?.destroy();
      return;
    }
    for (const [kind, stream, payload] of received) {
      if (kind === frames.REPLY || kind === frames.ERROR) this.#settle(kind, stream, payload);
      else this.#onFrame(kind, stream, payload);
    }
  }

  #settle(kind, call, payload) {
    const settle = this.#waiters.get(call);
    if (settle === undefined) return;
    this.#waiters.delete(call);
    let value;
    try {
      value = decode(payload);
    } catch (error) {
      settle(new CallFailed("DecodeError", `the runner's reply cannot be read: ${error.message}`));
      return;
    }
    if (kind === frames.REPLY) settle(null, value);
    else settle(new CallFailed(String(value?.error ?? "CallFailed"), String(value?.message ?? "the runner refused the call")));
  }

  #lost() {
    if (this.#socket === null) return;
    this.#socket = null;
    this.#out = [];
    this.#queued = 0;
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const settle of waiters) settle(new ConnectionLost("the connection to the runner was lost"));
    this.#onLost();
  }

  #flush() {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#immediate = this.#timer = null;
    if (this.#paused || this.#socket === null || this.#out.length === 0) return;
    const out = Buffer.concat(this.#out);
    this.#out = [];
    this.#queued = 0;
    this.#paused = !this.#socket.write(out);
    this.#written = now();
  }
}
