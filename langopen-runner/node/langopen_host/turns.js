/**
 * Turns of the event loop between nodes.
 *
 * A node that blocks the loop also blocks the cancel of its own run, and langgraph starts the next node without giving
 * the loop a turn. So a node that starts after the loop was blocked waits for a turn first.
 */

import { now, setImmediate, setInterval } from "./intrinsics.js";

// How late the beat may be before the loop counts as blocked, in milliseconds.
const LATE = 50;
const EVERY = 20;

let beat = now();
setInterval(() => (beat = now()), EVERY).unref();

/** A callback handler of langchain: langchain calls it before each node. */
export class Turns {
  name = "langopen_turns";
  awaitHandlers = true;
  raiseError = false;
  ignoreLLM = true;
  ignoreAgent = true;
  ignoreRetriever = true;
  ignoreCustomEvent = true;
  ignoreChain = false;

  async handleChainStart() {
    if (now() - beat < EVERY + LATE) return;
    // The first turn may end before the loop has looked at its sockets.
    for (let turn = 0; turn < 2; turn += 1) await new Promise(setImmediate);
  }

  copy() {
    return this;
  }
}
