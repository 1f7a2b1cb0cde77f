/**
 * Turns of the event loop between nodes.
 *
 * A node that blocks keeps everything from the loop, a cancel of its own run too; and langgraph goes from one node to the
 * next without giving the loop a chance to hear of it. So a node that starts after the loop was held up waits for a turn.
 */

import { now, setImmediate, setInterval } from "./intrinsics.js";

// How late the beat may be before the loop counts as held up, in milliseconds.
const LATE = 50;
const EVERY = 20;

let beat = now();
setInterval(() => (beat = now()), EVERY).unref();

/** A callback handler of langchain's: asked before each node. */
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
