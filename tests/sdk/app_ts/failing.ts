/** A graph whose second node throws the error that its input names. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

/** A class that the server doesn't know. */
class OwnError extends Error {}

// Python's names for classes that the server knows.
class ValueError extends TypeError {
  name = "ValueError";
}
/** A subclass of a class whose text is public. */
class OwnValueError extends ValueError {
  name = "OwnValueError";
}
class KeyError extends RangeError {
  name = "KeyError";
}
class AttributeError extends ReferenceError {
  name = "AttributeError";
}
class RuntimeError extends RangeError {
  name = "RuntimeError";
}
class RecursionError extends RangeError {
  name = "RecursionError";
}
class TimeoutError extends Error {
  name = "TimeoutError";
}
class ZeroDivisionError extends Error {}
class OSError extends Error {}

const KINDS: Record<string, () => Error> = {
  value: () => new ValueError('bad value: \u00e9\u2028"quoted"'),
  type: () => new TypeError("bad type"),
  key: () => new KeyError("'bad key'"),
  attribute: () => new AttributeError("bad attribute"),
  runtime: () => new RuntimeError("bad runtime"),
  recursion: () => new RecursionError("bad recursion"),
  timeout: () => new TimeoutError("bad timeout"),
  zero: () => new ZeroDivisionError("secret of zero"),
  os: () => new OSError("secret of os"),
  own: () => new OwnError("secret of own"),
  own_value: () => new OwnValueError("text of own value"),
  empty: () => new ValueError(),
};

const Plan = Annotation.Root({
  log: Annotation<unknown[]>({ reducer: (before, more) => before.concat(more), default: () => [] }),
  kind: Annotation<string>,
});

function fail({ kind = "value" }: typeof Plan.State) {
  if (kind === "none") return { log: ["no failure"] };
  if (kind === "exit") process.exit(3);
  if (kind === "cancelled") throw new DOMException("This operation was aborted", "AbortError");
  if (kind === "unserialisable") return { log: [10n ** 30n] };
  throw KINDS[kind]();
}

export const failing = new StateGraph(Plan)
  .addNode("start", () => ({ log: ["start"] }))
  .addNode("fail", fail)
  .addEdge(START, "start")
  .addEdge("start", "fail")
  .addEdge("fail", END)
  .compile();

export const endless = new StateGraph(Plan)
  .addNode("forever", () => ({ log: ["round"] }))
  .addEdge(START, "forever")
  .addEdge("forever", "forever")
  .compile();
