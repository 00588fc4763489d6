/** What a model is changed to, one change after the other: pure, so that a seed gives the same run. */
import type { Random } from "../proxy-runs/random.ts";

/** Files of the same model, each with other bytes. */
export const files = ["first", "second"] as const;
export type File = (typeof files)[number] | "thinking";

export interface Declared {
  readonly file: File;
  readonly contextLength: number;
  readonly parallel: number;
}

/** `room`: the GPU has room for old and new at once. `fails`: the words of the reason that `up` has to give; null for a change that succeeds. */
export interface Change {
  readonly to: Declared;
  readonly room: boolean;
  readonly fails: RegExp | null;
  readonly words: string;
}

export const longestContext = 8192;
const otherContext = 7168;
export const mostSlots = 5;
const otherSlots = 4;
export const first: Declared = { file: "first", contextLength: longestContext, parallel: otherSlots };
/** More than any GPU of the run has. */
const tooLong = 131_072;
/** Every so many changes one that fails. */
const failEvery = 5;

export function changes(count: number, random: Random): Change[] {
  const planned: Change[] = [];
  let now = first;
  for (let index = 0; index < count; index += 1) {
    const room = index % 2 === 0;
    if (index % failEvery === failEvery - 1) planned.push(random.next() < 0.5 ? tooLarge(now) : thinksAgain(now, room));
    else {
      const change = another(now, random);
      planned.push({
        ...change,
        room,
        fails: null,
        words: `${change.words}, ${room ? "beside the old" : "in its place"}`,
      });
      now = change.to;
    }
  }
  return planned;
}

function another(now: Declared, random: Random): Pick<Change, "to" | "words"> {
  const [context, parallel, file] = [
    now.contextLength === longestContext ? otherContext : longestContext,
    now.parallel === mostSlots ? otherSlots : mostSlots,
    files.find((name) => name !== now.file) ?? "first",
  ] as const;
  return random.pick([
    { to: { ...now, contextLength: context }, words: `context ${context}` },
    { to: { ...now, parallel }, words: `${parallel} slots` },
    { to: { ...now, file }, words: `the ${file} file` },
  ]);
}

const tooLarge = (now: Declared): Change => ({
  to: { ...now, contextLength: tooLong },
  room: false,
  fails: /memory|needs about/i,
  words: "a context that does not fit",
});

const thinksAgain = (now: Declared, room: boolean): Change => ({
  to: { ...now, file: "thinking" },
  room,
  fails: /think|reasoning/i,
  words: `a file that thinks, ${room ? "beside the old" : "in its place"}`,
});
