/** A target that cannot be served; `kind` is the class that the runner reports. */
export class LoadError extends Error {
  name = "LoadError";

  constructor(message, kind = "GraphLoadError") {
    super(message);
    this.kind = kind;
  }
}
