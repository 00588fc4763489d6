import { expect, test } from "vitest";
import type { Desired, Memory, World } from "../../../../hostctl/supervisor/decide.ts";
import { incidentsBetween } from "../../../../hostctl/supervisor/incident.ts";
import { nothingKnown } from "./machine.ts";

const desired: Desired = {
  lmstudio: { backendPort: 1, engine: null, digest: "d" },
  models: [
    {
      identifier: "m",
      contextLength: 10,
      parallel: 1,
      gpu: "max",
      exactPath: "a/b/c.gguf",
      file: "/c.gguf",
      digest: "x",
    },
  ],
};
const memory: Memory = { ...nothingKnown, loaded: { m: "x" } };
const right: World = {
  daemonPid: 5,
  foreign: null,
  strays: [],
  server: { greeting: true, loopback: true, elsewhere: false, hung: false },
  instances: [{ identifier: "m", contextLength: 10, parallel: 1, path: null }],
};
const before = { desired, world: right, memory };

test("what was right and is no more is told once, at its root", () => {
  expect(incidentsBetween(before, desired, right, memory)).toEqual([]);
  const nobody = { greeting: false, loopback: false, elsewhere: false, hung: false };
  const gone: World = { ...right, daemonPid: null, server: nobody, instances: null };
  expect(incidentsBetween(before, desired, gone, memory)).toMatchObject([
    { resource: "lmstudio", words: expect.stringContaining("daemon") },
  ]);
  const silent = { ...right, server: nobody, instances: null };
  expect(incidentsBetween(before, desired, silent, memory)).toMatchObject([
    { resource: "lmstudio", words: expect.stringContaining("server") },
  ]);
  expect(incidentsBetween(before, desired, { ...right, instances: [] }, memory)).toMatchObject([
    { resource: "model-m", words: expect.stringContaining("unloaded") },
  ]);
  const other = { ...right, instances: [{ identifier: "m", contextLength: 99, parallel: 1, path: null }] };
  expect(incidentsBetween(before, desired, other, memory)).toMatchObject([
    { resource: "model-m", words: expect.stringContaining("99") },
  ]);
});

test("what was declared anew, or was not right before, is no incident", () => {
  const anew: Desired = {
    ...desired,
    models: desired.models.map((model) => ({ ...model, contextLength: 20, digest: "y" })),
  };
  expect(incidentsBetween(before, anew, right, memory)).toEqual([]);
  const starting = { ...before, world: { ...right, instances: [] } };
  expect(incidentsBetween(starting, desired, { ...right, instances: [] }, memory)).toEqual([]);
  expect(incidentsBetween(before, { lmstudio: null, models: [] }, right, memory)).toEqual([]);
});
