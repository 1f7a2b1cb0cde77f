/** The store of graphs: every operation is a call to the runner. */

import { parseBytes } from "./intrinsics.js";
import { dumps } from "./serialize.js";

/**
 * The class of stores on the application's own library; each instance serves one scope. `index` is null without one,
 * `ttl` is `{default_ttl: minutes or null, refresh_on_read}` or null.
 */
export function storeClass(library, index, ttl) {
  const lifetime = { default: ttl?.default_ttl ?? null, refresh: ttl?.refresh_on_read ?? true };
  return class HostStore extends library.checkpoint.BaseStore {
    constructor(scope) {
      super();
      Object.defineProperty(this, "scope", { value: scope });
    }

    toJSON() {
      return "<HostStore>";
    }

    async batch(operations) {
      // The embeddings come first, so that the calls leave in order, with nothing between them.
      const prepared = await Promise.all(operations.map(async (operation) => [operation, await vectors(operation, index)]));
      const replies = prepared.map(([operation, found]) => {
        const [method, params] = call(operation, lifetime);
        return this.scope.request(method, { ...params, ...found });
      });
      return (await Promise.all(replies)).map((reply, at) => result(operations[at], reply));
    }
  };
}

/** The vectors of an operation, where the application has an index. */
async function vectors(operation, index) {
  if (index === null) return {};
  if ("value" in operation && operation.value !== null && operation.index !== false) {
    return { vectors: await index.embedValue(operation.value, operation.index || null) };
  }
  if ("namespacePrefix" in operation && operation.query) return { vector: await index.embedQuery(operation.query) };
  return {};
}

/** The runner's method and parameters for a store operation. */
function call(operation, lifetime) {
  if ("namespacePrefix" in operation) {
    const { namespacePrefix, filter, limit = 10, offset = 0, query } = operation;
    return [
      "store.search",
      {
        namespace_prefix: namespacePrefix,
        filter: filter ? Buffer.from(dumps(filter)) : null,
        limit,
        offset,
        query: query ?? null,
        refresh_ttl: lifetime.refresh,
      },
    ];
  }
  if ("value" in operation) {
    const { namespace, key, value, index } = operation;
    const bytes = value === null ? null : Buffer.from(dumps(value));
    return ["store.put", { namespace, key: String(key), value: bytes, index: index ?? null, ttl: lifetime.default }];
  }
  if ("key" in operation) {
    return ["store.get", { namespace: operation.namespace, key: String(operation.key), refresh_ttl: lifetime.refresh }];
  }
  const paths = Object.fromEntries((operation.matchConditions ?? []).map(({ matchType, path }) => [matchType, path]));
  const { maxDepth, limit, offset } = operation;
  return [
    "store.list_namespaces",
    { prefix: paths.prefix ?? null, suffix: paths.suffix ?? null, max_depth: maxDepth ?? null, limit, offset },
  ];
}

function result(operation, reply) {
  if ("namespacePrefix" in operation) return reply.map((found) => ({ ...item(found), score: found.score ?? undefined }));
  if ("value" in operation) return undefined;
  if ("key" in operation) return reply === null ? null : item(reply);
  return reply;
}

function item(found) {
  return {
    value: parseBytes(found.value),
    key: found.key,
    namespace: found.namespace,
    createdAt: new Date(found.created_at),
    updatedAt: new Date(found.updated_at),
  };
}
