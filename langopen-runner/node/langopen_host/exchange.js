/**
 * HTTP exchanges over the one connection: requests for the application's web app, and its own requests to the API.
 *
 * Each side sends bodies in pieces, within the credit that the other side gives. So a body that nobody reads does not
 * delay other exchanges.
 */

import { ConnectionLost } from "./failures.js";
import * as frames from "./frames.js";
import { parseBytes } from "./intrinsics.js";
import { dumps } from "./serialize.js";

// How much of a body may be on its way; the runner has the same number.
const WINDOW = 256 * 1024;
// The largest piece of a body in one frame.
const PIECE = 64 * 1024;
// Credit is given back in portions of this many bytes.
const PORTION = WINDOW / 4;
// Ids from here on are of exchanges that this side begins.
const OURS = 2 ** 31;
const NOTHING = Buffer.alloc(0);

/** The other side broke the exchange off. */
export class Aborted extends ConnectionLost {
  name = "Aborted";
}

/** One exchange: the received pieces of the other side's body, and the credit for ours. */
export class Exchange {
  aborted = false;
  // Called once when the exchange breaks off.
  onAbort = null;
  #exchanges;
  #pieces = [];
  // The other side's body is whole.
  #received;
  #unpaid = 0;
  #credit;
  #waiting = [];

  constructor(exchanges, number, { receives, credit }) {
    this.#exchanges = exchanges;
    this.number = number;
    this.#received = !receives;
    this.#credit = credit;
    this.head = new Promise((resolve, reject) => Object.assign(this, { answered: resolve, unanswered: reject }));
    // The waiting code may have given up.
    this.head.catch(() => {});
  }

  /** The next piece of the other side's body, null at its end. Throws `Aborted` when it broke off. */
  async receive() {
    while (this.#pieces.length === 0) {
      if (this.#received) return null;
      if (this.aborted) throw new Aborted("the other side broke the request off");
      await this.#change();
    }
    const piece = this.#pieces.shift();
    this.#unpaid += piece.length;
    if (this.#unpaid >= PORTION && !this.aborted) {
      this.#exchanges.send(frames.HTTP_CREDIT, this.number, frames.u32(this.#unpaid));
      this.#unpaid = 0;
    }
    return piece;
  }

  /** The other side's body as a stream. */
  stream() {
    return new ReadableStream(
      {
        pull: async (controller) => {
          const piece = await this.receive();
          if (piece === null) controller.close();
          else controller.enqueue(new Uint8Array(piece));
        },
        cancel: () => this.abort(),
      },
      { highWaterMark: 0 },
    );
  }

  /** Sends a whole body: a stream of bytes, or null. */
  async pump(body, { lazy = false } = {}) {
    const reader = body?.getReader();
    while (reader !== undefined && !this.aborted) {
      // The client keeps its body until somebody reads it.
      if (lazy) await this.#wanted();
      const { done, value } = await reader.read();
      if (done) break;
      await this.#send(typeof value === "string" ? Buffer.from(value) : value);
    }
    if (this.aborted) await reader?.cancel().catch(() => {});
    else this.#exchanges.send(frames.HTTP_END, this.number, NOTHING);
  }

  sendHead(kind, head) {
    if (!this.aborted) this.#exchanges.send(kind, this.number, Buffer.from(dumps(head)));
  }

  /** Breaks the exchange off, unless it is over. */
  abort() {
    if (!this.aborted && this.#exchanges.forget(this)) this.#exchanges.send(frames.HTTP_ABORT, this.number, NOTHING);
    this.breakOff();
  }

  breakOff() {
    if (this.aborted) return;
    this.aborted = true;
    this.unanswered(new Aborted("the other side broke the request off"));
    this.#wake();
    this.onAbort?.();
  }

  /** Takes a frame of the other side. */
  frame(kind, payload) {
    if (kind === frames.HTTP_BODY) this.#pieces.push(Buffer.from(payload));
    else if (kind === frames.HTTP_END) {
      this.#received = true;
      if (this.number >= OURS) this.#exchanges.forget(this);
    } else if (kind === frames.HTTP_CREDIT) this.#credit += payload.readUInt32BE(0);
    else if (kind === frames.HTTP_RESPONSE) this.answered(parseBytes(payload));
    else if (kind === frames.HTTP_ABORT) {
      this.#exchanges.forget(this);
      this.breakOff();
    }
    this.#wake();
  }

  async #send(bytes) {
    for (let at = 0; at < bytes.length && !this.aborted; ) {
      const piece = bytes.subarray(at, at + PIECE);
      if (this.#credit < piece.length) {
        await this.#change();
        continue;
      }
      this.#credit -= piece.length;
      this.#exchanges.send(frames.HTTP_BODY, this.number, Buffer.from(piece));
      at += piece.length;
    }
  }

  async #wanted() {
    while (this.#credit <= 0 && !this.aborted) await this.#change();
  }

  #change() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake() {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

/** The exchanges in flight on the connection. */
export class Exchanges {
  #connection;
  #open = new Map();
  #last = 0;

  constructor(connection) {
    this.#connection = connection;
  }

  /** An exchange that the runner began. */
  accept(number, { body }) {
    const exchange = new Exchange(this, number, { receives: body, credit: WINDOW });
    this.#open.set(number, exchange);
    return exchange;
  }

  /** Begins an exchange. The runner gives credit for the request's body once somebody reads it. */
  begin(head) {
    if (!this.#connection.connected) throw new ConnectionLost("the connection to the runner was lost");
    this.#last = (this.#last % (OURS - 1)) + 1;
    const exchange = new Exchange(this, OURS + this.#last, { receives: true, credit: 0 });
    this.#open.set(exchange.number, exchange);
    exchange.sendHead(frames.HTTP_REQUEST, head);
    return exchange;
  }

  /** Frames of an exchange that is over may still be on their way. */
  frame(kind, number, payload) {
    this.#open.get(number)?.frame(kind, payload);
  }

  send(kind, number, payload) {
    if (this.#connection.connected) this.#connection.send(kind, number, payload);
  }

  forget(exchange) {
    return this.#open.delete(exchange.number);
  }

  /** The connection is gone. */
  breakOff() {
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const exchange of open) exchange.breakOff();
  }
}
