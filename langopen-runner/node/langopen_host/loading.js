/** Imports the object of a target: `path/to/file.ts:export`. */

import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { isCommonJs } from "./library.js";
import { LoadError } from "./load_error.js";

let translating = null;

/** `{place, file, name}` of a target; `owner` says in messages what needs it, e.g. `graph "chat"`. */
export function locate(owner, target, baseDir) {
  const colon = target.lastIndexOf(":");
  const [place, name] = [target.slice(0, colon), target.slice(colon + 1)];
  if (colon < 1 || name === "") {
    throw new LoadError(`The target ${JSON.stringify(target)} of ${owner} has to be 'path/to/file.ts:export'`);
  }
  const file = path.resolve(baseDir, place);
  if (!existsSync(file) || !statSync(file).isFile()) {
    throw new LoadError(`The file ${file} of ${owner} does not exist`, "FileNotFoundError");
  }
  return { place, file, name };
}

/**
 * The object that `target` names; a promise is awaited. An error that the user's module throws passes through
 * unchanged.
 */
export async function loadObject(owner, target, baseDir) {
  const { place, file, name } = locate(owner, target, baseDir);
  const exported = await importModule(file);
  const value = await lookUp(exported, name);
  if (value === undefined) throw new LoadError(missing(owner, name, place, exported), "AttributeError");
  return value;
}

async function importModule(file) {
  // Plain JavaScript needs no translation, and loads faster without it.
  if (/\.([cm]?ts|tsx|jsx)$/.test(file)) await translateTypeScript();
  return isCommonJs(file) ? createRequire(file)(file) : import(pathToFileURL(file).href);
}

/** From here on, TypeScript is translated as it is imported. Types are not checked, as in `tsx`. */
function translateTypeScript() {
  translating ??= (async () => {
    const [modules, commonjs] = await Promise.all([import("tsx/esm/api"), import("tsx/cjs/api")]);
    modules.register();
    commonjs.register();
  })();
  return translating;
}

// A CommonJS module may stand as its `default`.
function lookUp(exported, name) {
  if (name in exported) return exported[name];
  const inner = exported.default;
  return inner !== null && typeof inner === "object" ? inner[name] : undefined;
}

function missing(owner, name, place, exported) {
  const names = Object.keys(exported).filter((each) => each !== "default" && each !== "module.exports");
  if ("default" in exported) names.push("default");
  const hint = names.length ? `; it has ${names.sort().map((each) => `'${each}'`).join(", ")}` : "";
  return `There is no export '${name}' in '${place}' for ${owner}${hint}`;
}
