/** The thread of `declared.js`: one compilation for all graphs of the application. */

import { createRequire } from "node:module";
import path from "node:path";
import { parentPort, workerData } from "node:worker_threads";

import ts from "typescript";

import { subgraphsOf } from "./declared_subgraphs.js";
import { compilerOptions, overlayHost } from "./declared_program.js";

const { buildGenerator } = createRequire(import.meta.url)("typescript-json-schema");
const KINDS = ["state", "input", "output", "config"];
const MESSAGES = "@langchain/core/messages";
const MESSAGE_FILES = /[\\/]@langchain[\\/]core[\\/]dist[\\/]messages[\\/][^\\/]+$/;
const LANGGRAPH = "@langchain/langgraph";

parentPort.postMessage(infer(workerData));

function infer(targets) {
  const probes = targets.flatMap((target, number) => probesOf(target, number));
  const options = compilerOptions(path.dirname(targets[0].file));
  const host = overlayHost(options);
  const byFile = Map.groupBy?.(probes, ({ file }) => file) ?? grouped(probes);
  for (const [file, own] of byFile) {
    const types = own.map(({ symbol, expression }) => declarations(symbol, expression));
    host.overlay(file, [preamble(file, options, host), ...types].join("\n"));
  }
  const program = ts.createProgram({ rootNames: [...byFile.keys()], options, host });
  const generator = buildGenerator(narrowed(program, byFile), { ignoreErrors: true, required: false });
  const found = {};
  for (const { graphId, namespace, file, symbol } of probes) {
    const schemas = schemasOf(generator, program, file, symbol);
    found[graphId] ??= {};
    // A node may call several graphs; the first one that is a graph is the node's.
    if (schemas !== null) found[graphId][namespace] ??= schemas;
  }
  return found;
}

/**
 * The program as the generator sees it: it looks at every declaration of every file first, and most of the packages'
 * files have nothing to do with a state. The heirs of `BaseMessage` do.
 */
function narrowed(program, byFile) {
  const own = new Set([...byFile.keys()].map((file) => path.resolve(file)));
  const files = program.getSourceFiles().filter(({ fileName }) => own.has(path.resolve(fileName)) || MESSAGE_FILES.test(fileName));
  return Object.assign(Object.create(program), { getSourceFiles: () => files });
}

/** The graph itself and the candidates for its subgraphs. */
function probesOf({ graphId, file, name }, number) {
  const own = { graphId, file, namespace: "", expression: exported(file, name) };
  const below = subgraphsOf(file, name).map(({ namespace, variable }) => ({
    graphId,
    file,
    namespace,
    expression: `typeof ${variable}`,
  }));
  return [own, ...below].map((probe, at) => ({ ...probe, symbol: `__langopen_${number}_${at}` }));
}

/** The type of an export, whether the file declares it, imports it or exports it by default. */
function exported(file, name) {
  return `(typeof import(${JSON.stringify(`./${path.basename(file)}`)}))[${JSON.stringify(name)}]`;
}

function declarations(symbol, expression) {
  return [
    `type ${symbol} = __langopen_Graph<${expression}>;`,
    `export type ${symbol}_state = __langopen_Shown<__langopen_State<${symbol}>>;`,
    `export type ${symbol}_input = __langopen_Shown<__langopen_Input<${symbol}>>;`,
    `export type ${symbol}_output = __langopen_Shown<__langopen_Output<${symbol}>>;`,
    `export type ${symbol}_config = __langopen_Shown<__langopen_Config<${symbol}>>;`,
  ].join("\n");
}

/**
 * Types that lead from an export to its state, and show it: messages of every kind as `BaseMessage`, members of members
 * to a depth of three.
 */
function preamble(file, options, host) {
  const declared = (name) => {
    const found = ts.resolveModuleName(name, file, options, host).resolvedModule?.resolvedFileName;
    return found === undefined ? null : JSON.stringify(found.replace(/\.d\.([cm]?)ts$/, ".$1js"));
  };
  const langgraph = declared(LANGGRAPH);
  const messages = declared(MESSAGES);
  if (langgraph === null) throw new Error(`${LANGGRAPH} is not found from ${file}`);
  return `
;type __langopen_Message = ${messages === null ? "never" : `import(${messages}).BaseMessage`};
type __langopen_StateOf<D> = D extends import(${langgraph}).StateDefinition ? import(${langgraph}).StateType<D> : D;
type __langopen_UpdateOf<D> = D extends import(${langgraph}).StateDefinition ? import(${langgraph}).UpdateType<D> : D;
type __langopen_IsAny<T> = 0 extends 1 & T ? true : false;
type __langopen_Made<T> = T extends (...args: any[]) => infer R ? Awaited<R> : Awaited<T>;
type __langopen_Graph<T> = __langopen_IsAny<T> extends true ? never : __langopen_Made<T> extends infer G
  ? G extends { compile(...args: any[]): infer C } ? C
  : G extends { readonly "~agentTypes": any; graph: infer P } ? P
  : G extends { lg_is_pregel: boolean } ? G : never : never;
type __langopen_State<G> = [G] extends [never] ? never
  : G extends { "~OutputType": infer S } ? Awaited<S> : never;
type __langopen_Input<G> = [G] extends [never] ? never
  : G extends { builder: { _inputDefinition: infer D } } ? __langopen_UpdateOf<D>
  : G extends { "~InputType": infer I } ? I : never;
type __langopen_Output<G> = [G] extends [never] ? never
  : G extends { builder: { _outputDefinition: infer D } } ? __langopen_StateOf<D> : __langopen_State<G>;
type __langopen_Config<G> = [G] extends [never] ? never
  : G extends { builder: { _configSchema?: infer D } } ? __langopen_UpdateOf<Exclude<D, undefined>> : never;
type __langopen_Plain<T> = Exclude<T, { __overwrite__: any }>;
type __langopen_MessageIn<T> = T extends __langopen_Message ? __langopen_Message : never;
type __langopen_MessagesIn<T> = T extends readonly (infer C)[]
  ? __langopen_IsAny<C> extends true ? never : [__langopen_MessageIn<C>] extends [never] ? never : __langopen_Message[]
  : never;
type __langopen_Opaque = Date | RegExp | Uint8Array | ReadonlyMap<any, any> | ReadonlySet<any> | ((...args: any[]) => any);
type __langopen_Member<T, D extends 0[]> = __langopen_IsAny<T> extends true ? T
  : [__langopen_MessagesIn<T>] extends [never]
    ? [__langopen_MessageIn<T>] extends [never] ? __langopen_Shown<T, D> : __langopen_Message
    : __langopen_Message[];
type __langopen_Shown<T, D extends 0[] = []> = D extends [0, 0, 0] ? any
  : T extends __langopen_Opaque ? T
  : T extends unknown ? { [K in keyof T]: __langopen_Member<__langopen_Plain<T[K]>, [0, ...D]> } : never;
`;
}

/** The schemas of one probe; null if its expression is no graph. */
function schemasOf(generator, program, file, symbol) {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const typeOf = (name) => {
    const declared = source?.statements.find((each) => ts.isTypeAliasDeclaration(each) && each.name.text === name);
    return declared === undefined ? null : checker.getTypeAtLocation(declared.name);
  };
  const graph = typeOf(symbol);
  if (graph === null || graph.flags & (ts.TypeFlags.Never | ts.TypeFlags.Any)) return null;
  const found = KINDS.map((kind) => {
    const type = typeOf(`${symbol}_${kind}`);
    const isKnown = type !== null && !(type.flags & (ts.TypeFlags.Never | ts.TypeFlags.Any | ts.TypeFlags.Unknown));
    return [kind, isKnown ? schemaOf(generator, `${symbol}_${kind}`) : null];
  });
  return Object.fromEntries(found);
}

function schemaOf(generator, symbol) {
  try {
    return readable(generator.getSchemaForSymbol(symbol));
  } catch (error) {
    process.stderr.write(`${symbol}: ${error.message}\n`);
    return null;
  }
}

/** The schema with definitions that are named after their types, without the files that declare them. */
function readable(schema) {
  const short = (name) => name.replace(/import\("[^"]*"\)\./g, "").replace(/import\([^)]*\)\./g, "");
  return JSON.parse(JSON.stringify(schema), (key, value) => {
    if (key === "$ref" && typeof value === "string") return short(decodeURIComponent(value));
    if (key !== "definitions") return value;
    return Object.fromEntries(Object.entries(value).map(([name, definition]) => [short(name), definition]));
  });
}

// `Map.groupBy` is younger than the oldest node that the host supports.
function grouped(probes) {
  const found = new Map();
  for (const probe of probes) found.set(probe.file, [...(found.get(probe.file) ?? []), probe]);
  return found;
}
