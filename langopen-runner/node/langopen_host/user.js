/** The authenticated user, as graphs and handlers see it. */

/** The user of a run or a request with its usual fields; null without custom auth. */
export function userOf(configurable) {
  const fields = configurable?.langgraph_auth_user;
  if (typeof fields !== "object" || fields === null || !("identity" in fields)) return null;
  return {
    ...fields,
    is_authenticated: fields.is_authenticated ?? true,
    display_name: fields.display_name || fields.identity,
    permissions: fields.permissions ?? [],
  };
}
