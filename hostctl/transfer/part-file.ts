/** A file that is still being fetched: `PATH.part` survives a kill, beside it lies who sent what is in it. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, createReadStream, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { readJson, writeJson } from "../atomic-file.ts";

export type Algorithm = "sha256" | "sha512";

/** Validators by address: who sent the bytes in the part, and which version that was. */
type Contributors = Readonly<Record<string, string | null>>;

/** Its digest goes along with the bytes; only a process that finds a part already there reads it once. */
export class PartFile implements Disposable {
  readonly path: string;
  readonly #algorithm: Algorithm;
  readonly #file: number;
  #hash: Hash;
  #size = 0;
  #contributors: Contributors = {};

  private constructor(path: string, algorithm: Algorithm) {
    this.path = path;
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
    this.#file = openSync(path, "a", 0o600);
  }

  /** Bytes that came from other addresses than these are not continued. */
  static async open(path: string, algorithm: Algorithm, addresses: readonly string[]): Promise<PartFile> {
    const part = new PartFile(path, algorithm);
    try {
      const record = await readJson<{ contributors?: Contributors }>(recordPath(path));
      const before = record?.contributors ?? {};
      const known = Object.keys(before);
      if (known.length === 0 || !known.every((address) => addresses.includes(address))) await part.restart();
      else {
        part.#contributors = before;
        for await (const chunk of createReadStream(path, { highWaterMark: 4 * 2 ** 20 })) {
          part.#hash.update(chunk as Buffer);
          part.#size += (chunk as Buffer).length;
        }
      }
      return part;
    } catch (error) {
      part[Symbol.dispose]();
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  get contributors(): readonly string[] {
    return Object.keys(this.#contributors);
  }

  validatorOf(address: string): string | null {
    return this.#contributors[address] ?? null;
  }

  /** Before the first byte of that address is written. */
  async willComeFrom(address: string, validator: string | null): Promise<void> {
    if (address in this.#contributors && this.#contributors[address] === validator) return;
    this.#contributors = { ...this.#contributors, [address]: validator };
    await writeJson(recordPath(this.path), { contributors: this.#contributors });
  }

  /** On the disk before the next event, so a kill loses nothing that came. */
  append(piece: Buffer): void {
    for (let written = 0; written < piece.length; ) written += writeSync(this.#file, piece, written);
    this.#hash.update(piece);
    this.#size += piece.length;
  }

  async restart(): Promise<void> {
    ftruncateSync(this.#file);
    await rm(recordPath(this.path), { force: true });
    this.#hash = createHash(this.#algorithm);
    this.#size = 0;
    this.#contributors = {};
  }

  /** Of what is in it now, flushed: after a power cut a file of the final name must not be hollow. */
  digest(): string {
    fsyncSync(this.#file);
    return this.#hash.copy().digest("hex");
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

export async function dropPart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(recordPath(part), { force: true });
}

const recordPath = (part: string) => `${part}.json`;
