/** The graph `noop` of `../app/graphs.py`, in TypeScript. */

import { AIMessage } from "@langchain/core/messages";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";

export const noop = new StateGraph(MessagesAnnotation)
  .addNode("reply", async () => ({ messages: [new AIMessage("ok")] }))
  .addEdge(START, "reply")
  .addEdge("reply", END)
  .compile();
