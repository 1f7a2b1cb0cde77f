/** Which variables of a file hold the subgraphs of a graph: found in the syntax, before any type is known. */

import { readFileSync } from "node:fs";

import ts from "typescript";

// A cycle of variables that name each other must end somewhere.
const MAX_DEPTH = 8;

/** `[{namespace, variable}]`: the candidates for the subgraphs of the export `name`; a node may have several. */
export function subgraphsOf(file, name) {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  const { variables, nodes } = read(source);
  const found = [];
  const visit = (variable, path, depth) => {
    if (depth > MAX_DEPTH) return;
    for (const { node, names } of nodesOf(variable, variables, nodes, new Set())) {
      for (const inner of names.filter((each) => variables.has(each))) {
        const namespace = [...path, node].join("|");
        found.push({ namespace, variable: inner });
        visit(inner, [...path, node], depth + 1);
      }
    }
  };
  visit(exportedAs(source, name), [], 0);
  return found;
}

/** The variables at the top of a file, with the expression each starts with, and the nodes that statements add. */
function read(source) {
  const variables = new Map();
  const nodes = new Map();
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement)) {
      for (const { name, initializer } of statement.declarationList.declarations) {
        if (ts.isIdentifier(name)) variables.set(name.text, initializer ?? null);
      }
    } else if (ts.isImportDeclaration(statement) && !statement.importClause?.isTypeOnly) {
      for (const name of imported(statement)) variables.set(name, null);
    } else if (ts.isFunctionDeclaration(statement) && statement.name) {
      variables.set(statement.name.text, statement.body ?? null);
    } else if (ts.isExportAssignment(statement)) {
      variables.set("default", statement.expression);
    } else {
      // `builder.addNode(...)` as a statement of its own.
      for (const call of callsIn(statement)) {
        const owner = rootOf(call);
        if (owner !== null) nodes.set(owner, [...(nodes.get(owner) ?? []), call]);
      }
    }
  }
  return { variables, nodes };
}

/** The nodes that a variable's own expression adds, or else those of the variables that it is made from. */
function nodesOf(variable, variables, nodes, seen) {
  if (seen.has(variable)) return [];
  seen.add(variable);
  const expression = variables.get(variable) ?? null;
  const calls = [...(expression === null ? [] : callsIn(expression)), ...(nodes.get(variable) ?? [])];
  if (calls.length > 0) return calls.map(({ node, names }) => ({ node, names }));
  return expression === null
    ? []
    : identifiersIn(expression).flatMap((name) => (variables.has(name) ? nodesOf(name, variables, nodes, seen) : []));
}

/** The calls `….addNode("node", …)` in an expression, with the variables that the node's action names. */
function callsIn(within) {
  const found = [];
  const visit = (node) => {
    const isCall = ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression);
    if (isCall && node.expression.name.text === "addNode") {
      const [name, action] = node.arguments;
      if (name !== undefined && action !== undefined && ts.isStringLiteralLike(name)) {
        found.push({ node: name.text, names: identifiersIn(action), call: node });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(within);
  return found;
}

/** The variable that a chain of calls begins with. */
function rootOf({ call }) {
  let at = call.expression.expression;
  while (ts.isCallExpression(at) || ts.isPropertyAccessExpression(at)) at = at.expression;
  return ts.isIdentifier(at) ? at.text : null;
}

function identifiersIn(within) {
  const found = new Set();
  const visit = (node) => {
    if (ts.isIdentifier(node)) found.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(within);
  return [...found];
}

function imported({ importClause }) {
  const { name, namedBindings } = importClause ?? {};
  const listed = namedBindings && ts.isNamedImports(namedBindings) ? namedBindings.elements.filter((each) => !each.isTypeOnly) : [];
  return [...(name ? [name.text] : []), ...listed.map((each) => each.name.text)];
}

/** The name inside the file of what it exports as `name`. */
function exportedAs(source, name) {
  for (const statement of source.statements) {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause || !ts.isNamedExports(statement.exportClause)) continue;
    const found = statement.exportClause.elements.find((each) => each.name.text === name);
    if (found !== undefined) return (found.propertyName ?? found.name).text;
  }
  return name;
}
