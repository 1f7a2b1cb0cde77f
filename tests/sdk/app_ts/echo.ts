/** Graphs that return what they receive: config, context, store, factory arguments. */

import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { z } from "zod";

const Context = z.object({ model_name: z.string().optional(), temperature: z.number().optional() });

const Seen = Annotation.Root({
  key: Annotation<string>,
  value: Annotation<Record<string, unknown>>,
  seen: Annotation<unknown>,
});
type State = typeof Seen.State;

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
  }
  return value === undefined || typeof value === "object" || typeof value === "function" ? (value == null ? null : `<${typeof value}>`) : value;
}

function tell(_state: State, config: LangGraphRunnableConfig) {
  const { configurable, metadata, tags, recursionLimit } = config;
  const seen = { configurable, metadata, tags: tags ?? [], recursion_limit: recursionLimit, context: config.context };
  return { seen: plain(seen) };
}

async function remember(state: State, config: LangGraphRunnableConfig) {
  const store = config.store!;
  const namespace = ["suite", "graph"];
  await store.put(namespace, state.key, state.value);
  const item = await store.get(namespace, state.key);
  const found = await store.search(["suite"], { limit: 1000 });
  return { seen: { value: item!.value, keys: found.map(({ key }) => key).sort() } };
}

const single = (name: string, node: (state: State, config: LangGraphRunnableConfig) => unknown) =>
  new StateGraph(Seen).addNode(name, node as never).addEdge(START, name as never).addEdge(name as never, END);

export const context_echo = new StateGraph(Seen, Context)
  .addNode("tell", tell)
  .addEdge(START, "tell")
  .addEdge("tell", END)
  .compile();
export const store_user = single("remember", remember).compile();
export const uncompiled = single("tell", tell);

/** The config decides which nodes the graph has. */
export function by_config(config: LangGraphRunnableConfig) {
  const name = String(config.configurable?.shape ?? "round");
  return single(name, () => ({ seen: `shape ${name}` }));
}

export async function by_runtime(
  _config: LangGraphRunnableConfig,
  runtime: { access_context: string; execution_runtime: unknown },
) {
  const seen = { access: runtime.access_context, executing: runtime.execution_runtime !== null };
  return single("tell", () => ({ seen })).compile();
}
