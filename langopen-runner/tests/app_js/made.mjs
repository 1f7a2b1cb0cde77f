/** A factory in plain JavaScript: the config determines the graph. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ log: Annotation({ reducer: (before, more) => before.concat(more), default: () => [] }) });

export default async function make({ configurable }) {
  const name = configurable.graph_id;
  return new StateGraph(State).addNode("tell", () => ({ log: [name] })).addEdge(START, "tell").addEdge("tell", END);
}
