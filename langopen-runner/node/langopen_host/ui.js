/**
 * The application's user interface components (`ui` of langgraph.json), bundled for browsers.
 *
 * A bundle is a script that sets one global object. Its `render` puts a component below an element with a shadow root,
 * which the page prepares. The page provides React, the SDK's hooks and its shared packages under `LGUI_REQUIRE`.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";

import { candidates, make, sourcesOf, tailwind } from "./tailwind.js";

// The packages that every page provides.
const SHARED = ["react", "react-dom", "react/jsx-runtime", "@langchain/langgraph-sdk/react", "@langchain/langgraph-sdk/react-ui"];
const ASSETS = [".avif", ".gif", ".jpeg", ".jpg", ".otf", ".png", ".svg", ".ttf", ".webp", ".woff", ".woff2"];

export class Bundles {
  #bundles = new Map();

  /**
   * Bundles every component file of `{sources: {name: path}, shared: [package]}`. A file that cannot be bundled does not
   * affect the others.
   */
  static async make({ sources, shared }, baseDir) {
    const bundles = new Bundles();
    const { build, stop } = await import("esbuild");
    const make = async ([name, file]) => bundles.#bundles.set(name, await bundle(build, name, file, shared, baseDir));
    await Promise.all(Object.entries(sources).map(make));
    await stop();
    return bundles;
  }

  /** For each name, the hash of its files, or the error that prevents them. */
  described() {
    const known = [...this.#bundles].map(([name, { hash, error }]) => [name, { hash: hash ?? null, error: error ?? null }]);
    return Object.fromEntries(known);
  }

  /** The files of a bundle, as text. */
  files(name) {
    const { hash, script, style } = this.#bundles.get(name) ?? {};
    if (hash === undefined) throw Object.assign(new Error(`There is no user interface '${name}'`), { name: "GraphNotFound" });
    return { hash, global: globalName(name), script, style };
  }
}

async function bundle(build, name, file, shared, baseDir) {
  const entry = path.resolve(baseDir, file);
  if (!existsSync(entry)) return { error: `ui.${name}: the file ${file} does not exist` };
  const options = {
    stdin: { contents: program(name, entry), resolveDir: path.dirname(entry), loader: "js" },
    absWorkingDir: baseDir,
    outdir: baseDir,
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: "iife",
    globalName: globalName(name),
    platform: "browser",
    target: "es2022",
    jsx: "automatic",
    jsxDev: false,
    define: { "process.env.NODE_ENV": '"production"' },
    loader: Object.fromEntries(ASSETS.map((extension) => [extension, "dataurl"])),
    logLevel: "silent",
  };
  const page = sharedByPage([...SHARED, ...shared]);
  try {
    let styles = 0;
    const count = () => (styles++, "");
    let built = await build({ ...options, plugins: [page, tailwind(count)] });
    if (styles > 0) {
      // Tailwind needs the classes of all sources, so the styles come last.
      const words = candidates(await sourcesOf(built.metafile, baseDir));
      const write = (file, css, resolve) => make(file, css, resolve, words);
      built = await build({ ...options, plugins: [page, tailwind(write)] });
    }
    const { outputFiles } = built;
    const text = (extension) => outputFiles.find((output) => output.path.endsWith(extension))?.text ?? null;
    const [script, style] = [text(".js"), text(".css")];
    const hash = createHash("sha256").update(JSON.stringify([script, style])).digest("hex");
    return { hash, script, style };
  } catch (error) {
    return { error: `ui.${name}: ${(error.errors ?? []).map(told).join("; ") || error.message}` };
  }
}

/** The file's default export is an object of components. */
function program(name, entry) {
  return `
    import components from ${JSON.stringify(entry)};
    export function render(name, shadowRootId) {
      const component = components?.[name];
      if (component === undefined) {
        const names = Object.keys(components ?? {}).join(", ");
        throw new Error("There is no component " + name + " in the user interface " + ${JSON.stringify(name)} + "; it has " + names);
      }
      const target = document.createElement("div");
      document.getElementById(shadowRootId).shadowRoot.appendChild(target);
      window[Symbol.for("LGUI_EXT_STORE")].respond(shadowRootId, component, target);
    }
  `;
}

function sharedByPage(names) {
  const known = new Set(names);
  return {
    name: "shared-by-page",
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path: name }) => (known.has(name) ? { path: name, namespace: "page" } : undefined));
      build.onLoad({ filter: /.*/, namespace: "page" }, ({ path: name }) => ({
        contents: `module.exports = globalThis[Symbol.for("LGUI_REQUIRE")](${JSON.stringify(name)});`,
        loader: "js",
      }));
    },
  };
}

/** A name for the script's global object. */
function globalName(name) {
  const spelled = name.replace(/[^A-Za-z0-9]/g, (character) => `$${character.codePointAt(0).toString(16)}$`);
  return `__LGUI_${spelled}`;
}

function told({ text, location }) {
  return location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text;
}
