/** Frames on the wire: `u32 length, u8 kind, u32 stream, payload`, big-endian. The runner's README lists the kinds. */

export const HELLO = 0x01;
export const INIT = 0x02;
export const READY = 0x03;
export const FATAL = 0x04;
export const PING = 0x05;
export const PONG = 0x06;
export const LOG = 0x07;
export const SHUTDOWN = 0x08;
export const RUN = 0x10;
export const EVENT = 0x11;
export const DONE = 0x12;
export const CANCEL = 0x13;
export const CREDIT = 0x14;
export const SPAN = 0x15;
export const CALL = 0x20;
export const REPLY = 0x21;
export const ERROR = 0x22;
export const HTTP_REQUEST = 0x30;
export const HTTP_RESPONSE = 0x31;
export const HTTP_BODY = 0x32;
export const HTTP_END = 0x33;
export const HTTP_CREDIT = 0x34;
export const HTTP_ABORT = 0x35;

const HEADER = 9;
const MAX_LENGTH = 512 * 1024 * 1024;
// The length field counts the kind and the stream, too.
const OVERHEAD = 5;
/** What an event costs of its run's credit, beside the bytes of its payload: the runner's memory for one more frame. */
export const EVENT_COST = 128;

/** The bytes in front of a payload of `length` bytes. */
export function header(kind, stream, length) {
  const bytes = Buffer.allocUnsafe(HEADER);
  bytes.writeUInt32BE(length + OVERHEAD, 0);
  bytes.writeUInt8(kind, 4);
  bytes.writeUInt32BE(stream, 5);
  return bytes;
}

/** A number as the four bytes that CREDIT frames carry. */
export function u32(value) {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

/** The payload of an EVENT frame: `u16 name length, name, data as JSON text`. */
export function eventPayload(name, json) {
  const nameLength = Buffer.byteLength(name);
  const bytes = Buffer.allocUnsafe(2 + nameLength + Buffer.byteLength(json));
  bytes.writeUInt16BE(nameLength, 0);
  bytes.write(name, 2);
  bytes.write(json, 2 + nameLength);
  return bytes;
}

/**
 * The payload of a DONE frame: length-prefixed header, length-prefixed values, the rest of the state; each JSON text.
 */
export function donePayload(head, values, state) {
  const [first, second, third] = [head, values, state].map((text) => Buffer.from(text));
  return Buffer.concat([u32(first.length), first, u32(second.length), second, third]);
}

/** Cuts a byte stream into `[kind, stream, payload]` frames. Chunks may end anywhere. */
export class Decoder {
  #parts = [];
  #size = 0;
  #needed = HEADER;

  /** Adds bytes and returns the frames that they complete. Throws a `RangeError` on an impossible length. */
  feed(data) {
    this.#parts.push(data);
    this.#size += data.length;
    if (this.#size < this.#needed) return [];
    const bytes = this.#parts.length === 1 ? data : Buffer.concat(this.#parts, this.#size);
    const frames = [];
    let at = 0;
    this.#needed = HEADER;
    while (bytes.length - at >= HEADER) {
      const length = bytes.readUInt32BE(at);
      if (length < OVERHEAD || length > MAX_LENGTH) throw new RangeError(`a frame of ${length} bytes`);
      const end = at + 4 + length;
      if (end > bytes.length) {
        this.#needed = 4 + length;
        break;
      }
      frames.push([bytes.readUInt8(at + 4), bytes.readUInt32BE(at + 5), bytes.subarray(at + HEADER, end)]);
      at = end;
    }
    const rest = bytes.subarray(at);
    this.#parts = rest.length ? [rest] : [];
    this.#size = rest.length;
    return frames;
  }
}
