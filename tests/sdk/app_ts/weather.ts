/** A router in front of a weather subgraph that waits before it answers, so that a person can correct the city. */

import { AIMessage } from "@langchain/core/messages";
import { Annotation, END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";

const Weather = Annotation.Root({
  ...MessagesAnnotation.spec,
  route: Annotation<string>,
  city: Annotation<string>,
});
type State = typeof Weather.State;

const inner = new StateGraph(Weather)
  .addNode("find_city", () => ({ city: "Lisbon" }))
  .addNode("tell", ({ city }: State) => ({ messages: [new AIMessage(`It is sunny in ${city}.`)] }))
  .addEdge(START, "find_city")
  .addEdge("find_city", "tell")
  .addEdge("tell", END)
  .compile({ interruptBefore: ["tell"] });

export const weather = new StateGraph(Weather)
  .addNode("router", ({ messages }: State) => ({
    route: messages[messages.length - 1].text.includes("weather") ? "weather" : "other",
  }))
  .addNode("small_talk", () => ({ messages: [new AIMessage("Let us talk about the weather.")] }))
  .addNode("weather_graph", inner)
  .addEdge(START, "router")
  .addConditionalEdges("router", ({ route }) => (route === "weather" ? "weather_graph" : "small_talk"), [
    "weather_graph",
    "small_talk",
  ])
  .addEdge("weather_graph", END)
  .addEdge("small_talk", END)
  .compile();
