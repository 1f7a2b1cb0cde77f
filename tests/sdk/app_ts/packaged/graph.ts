/** A builder that is not compiled yet, with a neighbour. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

import { GREETING } from "./words.js";

const Greeting = Annotation.Root({ name: Annotation<string>, text: Annotation<string> });

export const builder = new StateGraph(Greeting)
  .addNode("greet", ({ name }) => ({ text: `${GREETING}, ${name}` }))
  .addEdge(START, "greet")
  .addEdge("greet", END);
