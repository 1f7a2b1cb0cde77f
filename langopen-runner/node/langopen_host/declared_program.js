/** The compiler's options, and files that exist for it alone. */

import path from "node:path";

import ts from "typescript";

// What an application without a `tsconfig.json` most likely means: its imports are resolved as bundlers and `tsx` do.
const DEFAULTS = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  esModuleInterop: true,
};
// What node offers of a browser's globals, in a third of the size of the browser's own declarations.
const LIBRARY = ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts", "lib.webworker.d.ts", "lib.webworker.asynciterable.d.ts"];
// Packages with large declarations that langchain's packages import, and that no state is made of.
const IGNORED = /^(langsmith|react|react-dom|csstype|openai|@anthropic-ai\/sdk)(\/|$)/;
// Nothing is emitted and no file is checked as a whole: types are inferred where a schema needs them.
const OWN = {
  noEmit: true,
  strict: true,
  skipLibCheck: true,
  skipDefaultLibCheck: true,
  allowImportingTsExtensions: true,
  composite: false,
  incremental: false,
  declaration: false,
  declarationMap: false,
  emitDeclarationOnly: false,
  isolatedDeclarations: false,
};

/** The options of the application that `folder` belongs to. */
export function compilerOptions(folder) {
  const file = ts.findConfigFile(folder, ts.sys.fileExists);
  const given = file === undefined ? {} : ts.readConfigFile(file, ts.sys.readFile).config;
  const { options } = ts.parseJsonConfigFileContent(
    // The files that the configuration names are of no interest, and looking for them takes time.
    { ...given, files: [], include: [] },
    ts.sys,
    file === undefined ? folder : path.dirname(file),
  );
  const { rootDir: _rootDir, outDir: _outDir, tsBuildInfoFile: _info, ...kept } = options;
  // Packages of global types take long to read, and states seldom use them.
  return { ...DEFAULTS, types: [], ...kept, lib: LIBRARY, ...OWN };
}

/** A compiler host on which `overlay(file, text)` adds text to the end of a file. */
export function overlayHost(options) {
  const host = ts.createCompilerHost(options);
  const cache = ts.createModuleResolutionCache(host.getCurrentDirectory(), (name) => name, options);
  const overlays = new Map();
  const read = host.getSourceFile.bind(host);
  const text = host.readFile.bind(host);
  return Object.assign(host, {
    overlay: (file, added) => overlays.set(path.resolve(file), added),
    resolveModuleNameLiterals: (literals, file, redirected, settings) =>
      literals.map(({ text: name }) =>
        IGNORED.test(name) && file.includes("node_modules")
          ? { resolvedModule: undefined }
          : ts.resolveModuleName(name, file, settings, host, cache, redirected),
      ),
    readFile: (file) => {
      const added = overlays.get(path.resolve(file));
      return added === undefined ? text(file) : `${text(file) ?? ""}\n${added}`;
    },
    getSourceFile: (file, version, ...rest) => {
      if (!overlays.has(path.resolve(file))) return read(file, version, ...rest);
      return ts.createSourceFile(file, host.readFile(file), version, true);
    },
  });
}
