/** Errors between this host and the runner. */

/** The runner is gone. Another host continues the runs of this one, so the error counts as retryable. */
export class ConnectionLost extends Error {
  name = "ConnectionLost";
}

/** The runner answered a call with an error: `kind` is its class, the text its message. */
export class CallFailed extends Error {
  name = "CallFailed";

  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}
