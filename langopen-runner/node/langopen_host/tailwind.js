/**
 * Styles that Tailwind generates for the classes in components: the application's own Tailwind if there is one, otherwise
 * the host program's.
 */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const OWN = path.dirname(fileURLToPath(import.meta.url));
const DIRECTIVE = /@import\s+(?:url\()?\s*["']tailwindcss|@(?:tailwind|apply|theme|utility|custom-variant|reference|plugin)\b/;
const SOURCE = /\.[cm]?[jt]sx?$/;

// The borders of classes in a source. A class may contain another kind of quotes, as in `content-['a']`.
const CUTS = [/[\s"]+/, /[\s']+/, /[\s`]+/, /[\s"'`]+/, /[\s"'`{}()[\],;:=<>]+/];

/** Whether a style needs Tailwind. */
export function isMade(css) {
  return DIRECTIVE.test(css);
}

/** All words of these sources that may be classes. Tailwind generates nothing for other words. */
export function candidates(sources) {
  const words = CUTS.flatMap((cut) => sources.flatMap((source) => source.split(cut)));
  return [...new Set(words)].filter((word) => word !== "");
}

/** The texts of the application's own sources in a bundle, from esbuild's report. */
export async function sourcesOf({ inputs }, baseDir) {
  const own = Object.keys(inputs).filter((file) => SOURCE.test(file) && !file.split("/").includes("node_modules"));
  return Promise.all(own.filter((file) => !/^[\w-]+:/.test(file)).map((file) => readFile(path.resolve(baseDir, file), "utf8")));
}

/**
 * Passes each style that needs Tailwind to `write`, with its path, its text, and a function that resolves the style's
 * imports.
 */
export function tailwind(write) {
  return {
    name: "tailwind",
    setup(build) {
      const resolve = async (name, from) => {
        const places = name.startsWith("tailwindcss") ? [from, OWN] : [from];
        let found;
        for (const resolveDir of places) {
          found = await build.resolve(name, { kind: "import-rule", resolveDir });
          if (found.errors.length === 0) return found.path;
        }
        throw new Error(found.errors[0].text);
      };
      build.onResolve({ filter: /^[^./]/ }, async ({ path: name, kind, resolveDir }) => {
        const file = kind === "import-rule" ? await styleOf(name, resolveDir) : undefined;
        return file && { path: file };
      });
      build.onLoad({ filter: /\.css$/ }, async ({ path: file }) => {
        const css = await readFile(file, "utf8");
        if (!isMade(css)) return undefined;
        const loader = file.endsWith(".module.css") ? "local-css" : "css";
        try {
          return { contents: await write(file, css, resolve), loader, resolveDir: path.dirname(file) };
        } catch (error) {
          return { errors: [{ text: `${path.relative(build.initialOptions.absWorkingDir, file)}: ${error.message}` }] };
        }
      });
    },
  };
}

/** A style with its imports and the rules for the classes among `words`. */
export async function make(file, css, resolve, words) {
  const base = path.dirname(file);
  const { compile } = await ofApplication(base);
  const { build } = await compile(css, {
    base,
    from: file,
    loadStylesheet: async (name, from) => {
      const found = await resolve(name, from);
      return { path: found, base: path.dirname(found), content: await readFile(found, "utf8") };
    },
    loadModule: async (name, from) => {
      const found = createRequire(path.join(from, "style.css")).resolve(name);
      const module = await import(pathToFileURL(found));
      return { path: found, base: path.dirname(found), module: module.default ?? module };
    },
  });
  return belowShadowRoot(build(words));
}

/**
 * The style of a package that declares it by the condition or the field for styles, which esbuild does not read.
 */
async function styleOf(name, from) {
  const [, packageName, rest] = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(name) ?? [];
  for (let folder = from; packageName !== undefined; folder = path.dirname(folder)) {
    const place = path.join(folder, "node_modules", packageName);
    const text = await readFile(path.join(place, "package.json"), "utf8").catch(() => null);
    if (text !== null) {
      const { exports, style } = JSON.parse(text);
      const offered = exports?.[`.${rest ?? ""}`]?.style ?? (rest === undefined ? style : undefined);
      return typeof offered === "string" ? path.join(place, offered) : undefined;
    }
    if (folder === path.dirname(folder)) return undefined;
  }
  return undefined;
}

async function ofApplication(folder) {
  let found;
  try {
    found = createRequire(path.join(folder, "style.css")).resolve("tailwindcss");
  } catch {
    return import("tailwindcss");
  }
  const library = await import(pathToFileURL(found));
  const { compile } = library.compile ? library : library.default;
  if (compile === undefined) throw new Error("the application's Tailwind is too old: 4 or newer is needed");
  return { compile };
}

/**
 * Components live below a shadow root, where `@property` has no effect. So every browser needs the rules that Tailwind
 * adds for browsers without it.
 */
function belowShadowRoot(css) {
  return css.replace(/(@layer properties\s*\{\s*)@supports [^{]*\{/, "$1@supports (display: block) {");
}
