/** The lifecycle of the graphs below the root, as their tasks show it. */

/**
 * Follows the subgraphs of one run. A subgraph's namespace ends in `node:<task>`, the task of the graph above that it
 * runs in.
 */
export class Lifecycle {
  // By joined namespace: `{namespace, name, parent}`.
  #known = new Set();
  #open = new Map();
  // The tool calls that tasks execute, by task.
  #toolCalls = new Map();

  /** The lifecycle events `[namespace, data]` before a task's record: its first task shows that a graph has started. */
  before(namespace, task) {
    if ("result" in task) return [];
    const toolCall = toolCallOf(task.input);
    if (toolCall !== undefined) this.#toolCalls.set(task.id, toolCall);
    const key = namespace.join("|");
    if (namespace.length === 0 || this.#known.has(key)) return [];
    const [node, parent] = split(namespace.at(-1));
    const agent = task.metadata?.lc_agent_name;
    const name = agent || node;
    this.#known.add(key);
    this.#open.set(key, { namespace, name, parent });
    const data = { event: "started", namespace, graph_name: name, trigger_call_id: parent };
    const cause = agent === undefined ? undefined : this.#toolCalls.get(parent);
    if (cause !== undefined) data.cause = { type: "toolCall", tool_call_id: cause };
    return [[namespace, data]];
  }

  /** The lifecycle events after a task's record: the ends of the subgraphs that ran in the task. */
  after(namespace, task) {
    if (!("result" in task)) return [];
    const status = task.interrupts?.length ? "interrupted" : task.error ? "failed" : "completed";
    const above = namespace.join("|");
    const ended = [...this.#open].filter(
      ([, below]) => below.namespace.slice(0, -1).join("|") === above && below.parent === task.id,
    );
    return ended.map(([key]) => this.#end(key, status));
  }

  /**
   * Ends the open subgraphs, the innermost first. A root that waits for something says so: its values may not show it.
   */
  close(status) {
    const innermost = [...this.#open].sort(([, one], [, other]) => other.namespace.length - one.namespace.length);
    const told = innermost.map(([key]) => this.#end(key, status));
    return status === "interrupted" ? [...told, [[], { event: status }]] : told;
  }

  #end(key, status) {
    const { namespace, name } = this.#open.get(key);
    this.#open.delete(key);
    return [namespace, { event: status, graph_name: name }];
  }
}

function split(step) {
  const at = step.indexOf(":");
  return at < 0 ? [step, ""] : [step.slice(0, at), step.slice(at + 1)];
}

/** The id of the tool call in a task's input: the input holds it with its context, or is a list of calls. */
function toolCallOf(given) {
  const calls = Array.isArray(given) ? given : [given?.lg_tool_call ?? given?.tool_call];
  return calls.map((call) => call?.id).find((id) => typeof id === "string");
}
