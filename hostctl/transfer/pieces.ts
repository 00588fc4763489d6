/** A file cut into pieces with a sha256 each, so that what came from several hosts can be judged piece by piece. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import * as z from "zod";

export const pieceBytes = 4 * 2 ** 20;

export const pieceListSchema = z.object({
  size: z.int().min(1),
  pieceBytes: z.literal(pieceBytes),
  sha256: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
});
export type PieceList = z.infer<typeof pieceListSchema>;

export async function listPieces(file: string): Promise<PieceList> {
  const { size } = await stat(file);
  const sha256: string[] = [];
  let hash = createHash("sha256");
  let left = pieceBytes;
  for await (const chunk of createReadStream(file, { highWaterMark: pieceBytes })) {
    for (let rest = chunk as Buffer; rest.length > 0; ) {
      const part = rest.subarray(0, left);
      hash.update(part);
      left -= part.length;
      rest = rest.subarray(part.length);
      if (left > 0) continue;
      sha256.push(hash.digest("hex"));
      hash = createHash("sha256");
      left = pieceBytes;
    }
  }
  if (left < pieceBytes) sha256.push(hash.digest("hex"));
  return { size, pieceBytes, sha256 };
}

export const pieceRange = (
  { size }: PieceList,
  index: number,
): { readonly start: number; readonly length: number } => ({
  start: index * pieceBytes,
  length: Math.min(pieceBytes, size - index * pieceBytes),
});

export const isWholeList = (list: PieceList): boolean => list.sha256.length === Math.ceil(list.size / pieceBytes);
