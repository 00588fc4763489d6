/** What both kinds of stand-in share. */
import type { Writable } from "node:stream";
import { token } from "./answers.ts";
import type { FromBackend, Mode } from "./control.ts";

export interface Serving {
  mode: Mode;
  /** Ends a request that is never answered by itself, by its id. */
  readonly waiting: Map<string, () => void>;
  readonly tell: (message: FromBackend) => void;
}

/** Each token is a write of its own, as a server that flushes each one does. */
export function writeTokens(
  out: Writable,
  { tokens, burst, gapMs }: Mode,
  frame: (text: string) => string,
  end: () => void,
): void {
  let written = 0;
  const next = () => {
    if (out.destroyed) return;
    if (written === tokens) {
      end();
      return;
    }
    written++;
    const room = out.write(frame(token()), "latin1");
    if (gapMs > 0 && written >= burst) setTimeout(next, gapMs);
    else if (room) setImmediate(next);
    else out.once("drain", next);
  };
  next();
}
