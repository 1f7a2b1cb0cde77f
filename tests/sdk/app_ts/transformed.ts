/** A graph with a stream transformer, which only langgraph for JavaScript has. */

import { Annotation, type ProtocolEvent, START, StateGraph, StreamChannel } from "@langchain/langgraph";

/** Promises how many updates a run had, and streams the nodes that they came from. */
function counting() {
  let count = 0;
  let resolve = (_count: number) => {};
  const nodes = StreamChannel.remote<string>("nodes");
  return {
    init: () => ({ nodes, count: new Promise<number>((done) => (resolve = done)) }),
    process({ method, params }: ProtocolEvent) {
      if (method !== "updates") return true;
      count += 1;
      nodes.push(String((params.data as { node?: string }).node));
      return true;
    },
    finalize: () => resolve(count),
  };
}

const State = Annotation.Root({ word: Annotation<string> });

export const transformed = new StateGraph(State)
  .addNode("first", () => ({ word: "one" }))
  .addNode("second", () => ({ word: "two" }))
  .addEdge(START, "first")
  .addEdge("first", "second")
  .compile({ transformers: [counting] });
