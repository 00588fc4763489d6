/** The short form of `npm run interrupt`: without the real model, whose answers keep all processors busy. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Stack } from "../pulumi/stack.ts";
import { type Box, openStack, startBox } from "./box.ts";
import { fingerprint } from "./host-fingerprint.ts";
import { interruptOnce, moments } from "./interruption.ts";

let box: Box;
let stack: Stack;
let found: readonly string[];
let wholeSeconds: number;
const say = (line: string) => console.log(`   ${line}`);

beforeAll(async () => {
  box = await startBox({ name: "interrupted", realModel: false, onProgress: say });
  found = await fingerprint(box.host);
  stack = await openStack("e2e-interrupted", box);
  const whole = await stack.up();
  expect(whole.exitCode, whole.output).toBe(0);
  wholeSeconds = whole.seconds;
  await stack.destroy();
});

afterAll(async () => {
  await stack?.forget();
  await box?.host.remove();
});

test.each(moments(2, 2).map((moment) => ({ ...moment, percent: Math.round(moment.at * 100) })))(
  "an up killed at $percent % of its run ($victims) converges by cancel and up",
  async (moment) => {
    const row = await interruptOnce({ box, stack, moment, wholeSeconds, found, say });
    expect(row.value).toBe("converged");
  },
);
