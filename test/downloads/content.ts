/** A file of seeded bytes that do not repeat, so that a piece in the wrong place is a wrong piece. */
import { createCipheriv, createHash } from "node:crypto";
import { open } from "node:fs/promises";

export interface Content {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

export async function writeContent(file: string, bytes: number, seed: number): Promise<Content> {
  const key = createHash("sha256").update(`content ${seed}`).digest().subarray(0, 16);
  const stream = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  const hash = createHash("sha256");
  const zeros = Buffer.alloc(4 * 2 ** 20);
  const handle = await open(file, "w");
  try {
    for (let left = bytes; left > 0; ) {
      const piece = stream.update(zeros.subarray(0, Math.min(left, zeros.length)));
      hash.update(piece);
      await handle.write(piece);
      left -= piece.length;
    }
  } finally {
    await handle.close();
  }
  return { file, bytes, sha256: hash.digest("hex") };
}
