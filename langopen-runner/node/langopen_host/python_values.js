/**
 * Checkpoints that a Python graph wrote on the same thread: MessagePack with extensions that name Python classes.
 *
 * Messages become messages. Other objects become plain values of their fields: an object, a list, a text.
 */

import { ExtensionCodec, decode } from "@msgpack/msgpack";

const CONSTRUCTOR_SINGLE_ARG = 0;
const CONSTRUCTOR_POS_ARGS = 1;
const CONSTRUCTOR_KW_ARGS = 2;
const METHOD_SINGLE_ARG = 3;
const PYDANTIC_V1 = 4;
const PYDANTIC_V2 = 5;
const NUMPY_ARRAY = 6;

/** Decodes one value; `library` has the application's messages. */
export function decodePython(bytes, library) {
  const codec = new ExtensionCodec();
  const open = (data) => decode(data, { extensionCodec: codec });
  const register = (type, make) => codec.register({ type, encode: () => null, decode: (data) => make(open(data)) });
  register(CONSTRUCTOR_SINGLE_ARG, ([module, name, argument]) => single(module, name, argument));
  register(CONSTRUCTOR_POS_ARGS, ([module, name, args]) => positional(module, name, args));
  register(CONSTRUCTOR_KW_ARGS, ([module, name, fields]) => keywords(module, name, fields));
  register(METHOD_SINGLE_ARG, ([, , argument]) => argument);
  register(PYDANTIC_V1, ([module, , fields]) => model(module, fields, library));
  register(PYDANTIC_V2, ([module, , fields]) => model(module, fields, library));
  register(NUMPY_ARRAY, ([, , , buffer]) => buffer);
  return open(bytes);
}

function single(module, name, argument) {
  return module === "builtins" && (name === "set" || name === "frozenset") ? new Set(argument) : argument;
}

function positional(_module, name, args) {
  if (name === "Send") return { lg_name: "Send", node: args[0], args: args[1] };
  return args;
}

function keywords(_module, name, fields) {
  if (name === "Interrupt" && !("id" in fields)) return { ...fields, id: fields.interrupt_id };
  return fields;
}

function model(module, fields, library) {
  if (!module.startsWith("langchain_core.messages") || typeof fields?.type !== "string") return fields;
  const { type, ...rest } = fields;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
  return library.messages.coerceMessageLikeToMessage({ ...given, type: type.replace(/MessageChunk$/, "").toLowerCase() });
}
