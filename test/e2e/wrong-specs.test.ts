/** The short form of `npm run badspec`: what only a look at the host finds, and many faults at once. Specs that are wrong in themselves are unit-tested. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Stack } from "../pulumi/stack.ts";
import { type Box, openStack, startBox } from "./box.ts";
import { Refusals } from "./refusal.ts";
import { manyFaults, wrongSpecs } from "./wrong-specs.ts";

let box: Box;
let stack: Stack;
let refusals: Refusals;
const say = (line: string) => console.log(`   ${line}`);

beforeAll(async () => {
  box = await startBox({ name: "wrong-specs", onProgress: say });
  stack = await openStack("e2e-wrong-specs", box);
  refusals = new Refusals(box, stack);
});

afterAll(async () => {
  await stack?.forget();
  await box?.host.remove();
});

test.each([...wrongSpecs.filter(({ foundBy }) => foundBy === "host"), manyFaults])(
  "$name is refused in words, and the host stays as it is",
  async (wrong) => {
    expect((await refusals.refuse(wrong)).value).toBe("refused in words");
  },
);
