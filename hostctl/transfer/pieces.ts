/** A file cut into pieces with a sha256 each, so that what came from several hosts can be judged piece by piece. */
import { webcrypto } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { type FileHandle, open } from "node:fs/promises";
import * as z from "zod";

export const pieceBytes = 4 * 2 ** 20;

export const pieceListSchema = z
  .object({
    size: z.int().min(1),
    pieceBytes: z.literal(pieceBytes),
    sha256: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
  })
  .refine(({ size, sha256 }) => sha256.length === Math.ceil(size / pieceBytes), "its list of pieces has gaps");
export type PieceList = z.infer<typeof pieceListSchema>;

/** Several at once: a disk that has the file in memory is faster than one processor's digests. */
const listers = 3;

export async function listPieces(path: string): Promise<PieceList> {
  await using file = await open(path);
  const { size } = await file.stat();
  const sha256 = new Array<string>(Math.ceil(size / pieceBytes));
  let next = 0;
  const work = async () => {
    for (let index = next++; index < sha256.length; index = next++)
      sha256[index] = await pieceDigest(await readPiece(file, { size }, index));
  };
  await Promise.all(Array.from({ length: listers }, work));
  return { size, pieceBytes, sha256 };
}

/** In a thread of its own, so that the next bytes can be read meanwhile. */
export const pieceDigest = async (piece: Uint8Array<ArrayBuffer>): Promise<string> =>
  Buffer.from(await webcrypto.subtle.digest("SHA-256", piece)).toString("hex");

/** Shorter than it should be where the file ends early. */
export async function readPiece(file: FileHandle, list: Pick<PieceList, "size">, index: number) {
  const { start, length } = pieceRange(list, index);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
  return buffer.subarray(0, bytesRead);
}

export const pieceRange = (
  { size }: Pick<PieceList, "size">,
  index: number,
): { readonly start: number; readonly length: number } => ({
  start: index * pieceBytes,
  length: Math.min(pieceBytes, size - index * pieceBytes),
});

/** A file that is still on its way: what has come of it, and was found right, can be passed on. */
export class Arriving {
  readonly path: string;
  readonly list: PieceList;
  readonly #there = new Set<number>();
  readonly #news = new EventEmitter().setMaxListeners(0);

  constructor(path: string, list: PieceList) {
    this.path = path;
    this.list = list;
  }

  add(index: number): void {
    this.#there.add(index);
    this.#news.emit(`${index}`);
  }

  /** Waits for it. False when it has not come before the signal. */
  async has(index: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#there.has(index)) await once(this.#news, `${index}`, { signal }).catch(() => {});
    return this.#there.has(index);
  }
}
