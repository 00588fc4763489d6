/**
 * Where a JSON string ends. Half of the time that a large body took went into this search, so its inside is `closing-quote.wat`: vector
 * instructions, which a script has no other way to. Short strings never get there.
 */

/** The string goes on in the next chunk. */
export const open = -1;
/** The same, and that chunk's first byte belongs to a backslash at the end of this one. */
export const openEscaped = -2;

/** `closing-quote.wat`, compiled. */
export const compiled =
  "AGFzbQEAAAABDwJgBHt7e3sBfmACf38BfwMDAgABBQMBAAIHGQIGbWVtb3J5AgAMY2xvc2luZ1F1b3RlAAEKygICIgAgAP1krSAB/WStQhCGhCAC/WStQiCGIAP9ZK1CMIaEhAukAgMGewR+AX9BIv0PIQZB3AD9DyEHAkADQCAAQcAAaiABSw0BIAD9AAAAIQIgAP0AABAhAyAA/QAAICEEIAD9AAAwIQUgAiAG/SMgAyAG/SMgBCAG/SMgBSAG/SMQACEIIAIgB/0jIAMgB/0jIAQgB/0jIAUgB/0jEAAhCSAJIAuEQgBSBEAgCSALQn+FgyEKIApCAYZCqtWq1arVqtWqf4QgCn1CqtWq1arVqtWqf4UhCiAIIAogCSALhIVCf4WDIQggCiAJg0I/iCELCyAIQgBSBEAgACAIeqdqDwsgAEHAAGohAAwACwsgACALp2ohAAJAA0AgACABTw0BIAAtAAAhDCAMQSJGBEAgAA8LIABBAkEBIAxB3ABGG2ohAAwACwsgAAs=";

interface Search {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly closingQuote: (at: number, end: number) => number;
}

/** What is used of it: Node's types have no more than the name. */
interface Assembly {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const { Instance, Module } = (globalThis as unknown as { readonly WebAssembly: Assembly }).WebAssembly;
const search = new Instance(new Module(Buffer.from(compiled, "base64"))).exports as Search;
const memory = new Uint8Array(search.memory.buffer);
/** The chunk that lies in the memory. */
let loaded: Buffer | undefined;

/** Bytes that are looked at here first: most strings are shorter. */
const shortString = 32;
/** In less than this the copy does not pay. */
const worthCopying = 512;

/** `from` is the first byte behind the opening quote, or any later one that no backslash belongs to. */
export function closingQuote(chunk: Buffer, from: number): number {
  const { length } = chunk;
  const stop = Math.min(from + shortString, length);
  let at = from;
  for (; at < stop; at++) {
    const byte = chunk[at];
    if (byte === 0x22) return at;
    if (byte === 0x5c) at++;
  }
  if (at < length) at = length - at < worthCopying || length > memory.length ? walk(chunk, at) : searchFrom(chunk, at);
  if (at < length) return at;
  return at > length ? openEscaped : open;
}

function searchFrom(chunk: Buffer, at: number): number {
  if (loaded !== chunk) {
    memory.set(chunk);
    loaded = chunk;
  }
  return search.closingQuote(at, chunk.length);
}

function walk(chunk: Buffer, from: number): number {
  let at = from;
  for (; at < chunk.length; at++) {
    const byte = chunk[at];
    if (byte === 0x22) return at;
    if (byte === 0x5c) at++;
  }
  return at;
}
