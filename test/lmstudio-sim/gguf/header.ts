/** GGUF's header, both ways: enough to make a small valid file and to read the facts of a real one. */
import { closeSync, openSync, readSync } from "node:fs";

export type GgufValue = string | number | boolean;

const types = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
const sizes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };

/** Version 3, no tensors. Whole numbers become u32, as in real files. */
export function writeHeader(values: Readonly<Record<string, GgufValue>>): Buffer {
  const parts = Object.entries(values).map(([key, value]) => {
    if (typeof value === "string") return Buffer.concat([text(key), number32(types.string), text(value)]);
    if (typeof value === "boolean")
      return Buffer.concat([text(key), number32(types.bool), Buffer.from([value ? 1 : 0])]);
    return Buffer.concat([text(key), number32(types.u32), number32(value)]);
  });
  return Buffer.concat([Buffer.from("GGUF"), number32(3), number64(0), number64(parts.length), ...parts]);
}

const number32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
};

const number64 = (value: number): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
};

const text = (value: string): Buffer => Buffer.concat([number64(Buffer.byteLength(value)), Buffer.from(value)]);

/** Plain values at the file's beginning; null when it is no GGUF. Stops at the vocabulary, which is long and of no interest here. */
export function readHeader(file: string): Record<string, GgufValue> | null {
  const buffer = Buffer.alloc(64 * 1024);
  const handle = openSync(file, "r");
  let length: number;
  try {
    length = readSync(handle, buffer, 0, buffer.length, 0);
  } finally {
    closeSync(handle);
  }
  if (length < 24 || buffer.toString("latin1", 0, 4) !== "GGUF") return null;
  return readValues(buffer.subarray(0, length));
}

function readValues(buffer: Buffer): Record<string, GgufValue> {
  // Without a prototype: a key may be called anything.
  const values: Record<string, GgufValue> = Object.create(null);
  const count = Number(buffer.readBigUInt64LE(16));
  let offset = 24;
  const string = (): string => {
    const size = Number(buffer.readBigUInt64LE(offset));
    if (offset + 8 + size > buffer.length) throw new RangeError("past the end");
    offset += 8 + size;
    return buffer.toString("utf8", offset - size, offset);
  };
  try {
    for (let index = 0; index < count; index += 1) {
      const key = string();
      const type = buffer.readUInt32LE(offset);
      offset += 4;
      if (type === types.array) return values;
      if (type === types.string) values[key] = string();
      else {
        if (type === types.u32) values[key] = buffer.readUInt32LE(offset);
        if (type === types.i32) values[key] = buffer.readInt32LE(offset);
        if (type === types.u64) values[key] = Number(buffer.readBigUInt64LE(offset));
        if (type === types.bool) values[key] = buffer.readUInt8(offset) === 1;
        offset += sizes[type] ?? 0;
      }
    }
  } catch (error) {
    // The window ended in the middle of a value: what came before it is what there is to know.
    if (!(error instanceof RangeError)) throw error;
  }
  return values;
}
