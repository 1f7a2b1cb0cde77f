/** The application's embedding of store items (`store.index` of langgraph.json). */

import { stringify } from "./intrinsics.js";
import { loadObject } from "./loading.js";
import { LoadError } from "./load_error.js";

// The whole value.
const EVERYTHING = ["$"];

/** Turns texts into vectors of one length. */
export class StoreIndex {
  #embed;
  #dims;
  #fields;

  constructor(embed, dims, fields) {
    this.#embed = embed;
    this.#dims = dims;
    this.#fields = fields ?? EVERYTHING;
  }

  /** `embed` names a function of texts, or an object of langchain's `Embeddings`. */
  static async load({ embed, dims, fields }, baseDir) {
    const found = await loadObject("store.index.embed", embed, baseDir);
    if (typeof found === "function") return new StoreIndex(async (texts) => await found(texts), dims, fields);
    if (typeof found?.embedDocuments !== "function") {
      throw new LoadError(`'${embed}' is neither a function nor Embeddings: store.index.embed has to name one`, "TypeError");
    }
    return new StoreIndex((texts) => found.embedDocuments(texts), dims, fields);
  }

  /** The vectors of the texts under `fields`, each with its place. */
  async embedValue(value, fields) {
    const texts = (fields ?? this.#fields).flatMap((field) => {
      const found = textsAt(value, field);
      return found.map((text, number) => [found.length === 1 ? field : `${field}.${number}`, text]);
    });
    if (texts.length === 0) return [];
    const vectors = await this.#embed(texts.map(([, text]) => text));
    if (vectors.length !== texts.length) {
      throw new Error(`store.index.embed made ${vectors.length} vectors of ${texts.length} texts`);
    }
    return texts.map(([place], at) => [place, this.#checked(vectors[at])]);
  }

  async embedQuery(query) {
    const [vector] = await this.#embed([query]);
    return this.#checked(vector ?? []);
  }

  #checked(vector) {
    const numbers = Array.from(vector, Number);
    if (numbers.length !== this.#dims) {
      throw new Error(`store.index.embed made a vector of ${numbers.length} numbers; store.index.dims is ${this.#dims}`);
    }
    return numbers;
  }
}

/** The texts at a path such as `a.b`, `a[0]`, `a[*].b`; `$` is the whole value as JSON. */
function textsAt(value, path) {
  if (path === "$") return [stringify(value)];
  const steps = path.split(".").flatMap((part) => {
    const [name, ...indices] = part.split("[");
    return [...(name === "" ? [] : [name]), ...indices.map((index) => index.replace("]", ""))];
  });
  let found = [value];
  for (const step of steps) {
    found = found.flatMap((at) => {
      if (at === null || typeof at !== "object") return [];
      if (step === "*") return Object.values(at);
      return [Array.isArray(at) && /^-\d+$/.test(step) ? at.at(Number(step)) : at[step]];
    });
  }
  return found.flatMap((at) => (at === undefined || at === null ? [] : [typeof at === "string" ? at : stringify(at)]));
}
