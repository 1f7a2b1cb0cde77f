/** A graph that shows a component of its own beside its answer. */

import { AIMessage } from "@langchain/core/messages";
import { Annotation, END, type LangGraphRunnableConfig, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { typedUi, uiMessageReducer } from "@langchain/langgraph-sdk/react-ui/server";

const Cards = Annotation.Root({
  ...MessagesAnnotation.spec,
  ui: Annotation<any[], any>({ reducer: uiMessageReducer, default: () => [] }),
});

async function show({ messages }: typeof Cards.State, config: LangGraphRunnableConfig) {
  const ui = typedUi<any>(config);
  const message = new AIMessage({ id: `answer-${messages.length}`, content: "Here is the weather" });
  const card = ui.push({ name: "weather", props: { city: "Oslo", degrees: 3 } }, { message });
  ui.push({ id: card.id, name: "weather", props: { city: "Oslo", degrees: 4 } }, { message, merge: true });
  return { messages: [message] };
}

export const cards = new StateGraph(Cards).addNode("show", show).addEdge(START, "show").addEdge("show", END).compile();
