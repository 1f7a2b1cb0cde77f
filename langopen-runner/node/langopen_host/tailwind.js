/**
 * Styles that Tailwind makes of the classes that components name. The application's own Tailwind makes them where it
 * has one, else the host program's.
 */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const OWN = path.dirname(fileURLToPath(import.meta.url));
const DIRECTIVE = /@import\s+(?:url\()?\s*["']tailwindcss|@(?:tailwind|apply|theme|utility|custom-variant|reference|plugin)\b/;
const SOURCE = /\.[cm]?[jt]sx?$/;

// Where classes may begin and end in a source: within one kind of quotes there may be others, as in `content-['a']`.
const CUTS = [/[\s"]+/, /[\s']+/, /[\s`]+/, /[\s"'`]+/, /[\s"'`{}()[\],;:=<>]+/];

/** Whether Tailwind has to do with a style. */
export function isMade(css) {
  return DIRECTIVE.test(css);
}

/** All that may be classes in these sources; what is none makes no style. */
export function candidates(sources) {
  const words = CUTS.flatMap((cut) => sources.flatMap((source) => source.split(cut)));
  return [...new Set(words)].filter((word) => word !== "");
}

/** The texts of the application's own sources in a bundle, by what esbuild tells of it. */
export async function sourcesOf({ inputs }, baseDir) {
  const own = Object.keys(inputs).filter((file) => SOURCE.test(file) && !file.split("/").includes("node_modules"));
  return Promise.all(own.filter((file) => !/^[\w-]+:/.test(file)).map((file) => readFile(path.resolve(baseDir, file), "utf8")));
}

/**
 * Leaves the styles that Tailwind makes to `write`, which gets the path and the text of each, and a function that
 * finds what a style imports.
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

/** A style with all that it imports, and with what the classes among `words` need. */
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
 * The style that a package offers under a name, where it says so by the condition or the field that esbuild does not
 * look at.
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
 * Components live below a shadow root, where `@property` means nothing: what Tailwind does for browsers without it is
 * needed in all.
 */
function belowShadowRoot(css) {
  return css.replace(/(@layer properties\s*\{\s*)@supports [^{]*\{/, "$1@supports (display: block) {");
}
