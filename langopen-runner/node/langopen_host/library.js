/**
 * The application's own `@langchain/langgraph`, and what it is made of.
 *
 * The host uses the same copy that the application's code imports: classes of another copy would not be the same
 * classes. ES modules and CommonJS have a copy each, so the host takes the one of the application's first graph.
 */

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { LoadError } from "./load_error.js";

const LANGGRAPH = "@langchain/langgraph";
// Since then a run can be told its durability.
const OLDEST = "1.0.0";

/** Imports the library as the module at `file` would; `commonjs` says how that one is loaded. */
export async function loadLibrary(file, commonjs) {
  const found = find(LANGGRAPH, file, commonjs);
  if (found === null) {
    throw new LoadError(
      `${LANGGRAPH} is not installed for ${file}: name it in the dependencies of package.json and install it`,
      "ModuleNotFoundError",
    );
  }
  const version = langgraphVersion(path.dirname(found)) ?? "unknown";
  if (isOlder(version, OLDEST)) {
    throw new LoadError(`${LANGGRAPH} ${version} is too old: graphs need ${OLDEST} or newer`, "VersionError");
  }
  // langgraph's own dependencies may be out of the application's reach.
  const load = (name) => {
    const where = find(name, found, commonjs) ?? find(name, file, commonjs);
    if (where === null) throw new LoadError(`${name} is not installed beside ${LANGGRAPH}`, "ModuleNotFoundError");
    return importFile(where, commonjs);
  };
  const [langgraph, checkpoint, messages] = await Promise.all([
    importFile(found, commonjs),
    load("@langchain/langgraph-checkpoint"),
    load("@langchain/core/messages"),
  ]);
  return { version, langgraph, checkpoint, messages, load };
}

/** The version of the langgraph that code in `folder` or in one of its packages finds; null if it finds none. */
export function langgraphVersion(folder) {
  for (let at = folder; ; at = path.dirname(at)) {
    const own = path.join(at, "package.json");
    const below = path.join(at, "node_modules", LANGGRAPH, "package.json");
    for (const file of [own, below]) {
      const found = existsSync(file) ? readJson(file) : null;
      if (found?.name === LANGGRAPH && found.version) return found.version;
    }
    if (path.dirname(at) === at) return null;
  }
}

/** Whether node would load the file as CommonJS. */
export function isCommonJs(file) {
  if (/\.[cm][jt]s$/.test(file)) return /\.c[jt]s$/.test(file);
  for (let at = path.dirname(file); ; at = path.dirname(at)) {
    const manifest = path.join(at, "package.json");
    if (existsSync(manifest)) return readJson(manifest)?.type !== "module";
    if (path.dirname(at) === at) return true;
  }
}

function find(name, file, commonjs) {
  try {
    return commonjs
      ? createRequire(file).resolve(name)
      : fileURLToPath(import.meta.resolve(name, pathToFileURL(file).href));
  } catch {
    return null;
  }
}

function importFile(file, commonjs) {
  return commonjs ? createRequire(file)(file) : import(pathToFileURL(file).href);
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}

function isOlder(version, oldest) {
  const [found, least] = [version, oldest].map((text) => text.split(/[.-]/).slice(0, 3).map(Number));
  for (let at = 0; at < 3; at += 1) {
    if (Number.isNaN(found[at])) return false;
    if (found[at] !== least[at]) return found[at] < least[at];
  }
  return false;
}
