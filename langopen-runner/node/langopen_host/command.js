/** Commands: from the documents of clients to langgraph's objects. */

/** A command document `{resume, update, goto}` as langgraph's Command. */
export function toCommand({ resume, update, goto: target }, library) {
  const { Command, Send } = library.langgraph;
  const targets = Array.isArray(target) ? target : target === undefined || target === null ? [] : [target];
  const sends = targets.map((to) => (typeof to === "object" ? new Send(to.node, to.input ?? to.args ?? null) : to));
  return new Command({
    ...(update === undefined || update === null ? {} : { update }),
    ...(resume === undefined || resume === null ? {} : { resume }),
    goto: sends,
  });
}
