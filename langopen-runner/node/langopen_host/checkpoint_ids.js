/**
 * New checkpoint ids are above those that were read or put, whatever this machine's clock says.
 *
 * The library makes ids of version 6 from `Date.now()`. Clients sort by these ids, so a host whose clock is behind another
 * host's, or goes back, must not go on below the ids that are there. The library has no setting for this: while the clock is
 * behind the ids, the part of the library that makes ids, and nothing else, reads a later time from `Date.now()`.
 */

// Units of 100 ns from the beginning of version 6's calendar to the Unix epoch.
const EPOCH = 0x01b21dd213814000n;
const MAKES_IDS = /langgraph-checkpoint[\\/]dist[\\/]id\./;

// New ids carry a moment above this one, in milliseconds.
let latest = 0;
let realNow = null;

/** Makes every id that the library creates from now on greater than these, which were read. Other forms of ids do not count. */
export function stayAbove(...ids) {
  latest = Math.max(latest, ...ids.map((id) => Math.ceil(millis(id))));
  if (realNow === null) watch();
}

/** The same for an id that the library made here. It keeps its own ids of one millisecond in order. */
export function stayAboveOwn(id) {
  latest = Math.max(latest, Math.floor(millis(id)) - 1);
  if (realNow === null) watch();
}

function watch() {
  realNow = Date.now;
  Date.now = () => {
    const now = realNow.call(Date);
    if (now > latest || !isMakingIds()) return now;
    latest += 1;
    return latest;
  };
}

/** Whether the library's maker of ids is what asks for the time. */
function isMakingIds() {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 8;
  const { stack } = new Error();
  Error.stackTraceLimit = limit;
  return typeof stack === "string" && MAKES_IDS.test(stack);
}

/** The moment in an id of version 6, in milliseconds and parts of them; 0 for any other id. */
function millis(id) {
  if (typeof id !== "string" || !/^[0-9a-f]{8}-[0-9a-f]{4}-6[0-9a-f]{3}-/i.test(id)) return 0;
  const ticks = BigInt(`0x${id.slice(0, 8)}${id.slice(9, 13)}${id.slice(15, 18)}`);
  return Number(ticks - EPOCH) / 10000;
}
