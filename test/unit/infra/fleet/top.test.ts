/** What `lmstack fleet top` shows. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { CliFault } from "../../../../infra/cli/fault.ts";
import { type HostView, viewsOf } from "../../../../infra/fleet/host-view.ts";
import type { ModelReading } from "../../../../infra/fleet/metrics.ts";
import { onScreen, topLines } from "../../../../infra/fleet/top-lines.ts";
import { spec } from "../host/observed.ts";

const none = { seconds: 0, count: 0 };
const model = (running: number, queued = 0, slots: number | null = 2): ModelReading => ({
  ...{ running, queued, slots },
  ...{ outputTokens: 0, thoughts: 0, firstToken: none, betweenTokens: none },
});
const view = (host: string, models: Record<string, ModelReading>, ready = true): HostView => ({
  host,
  reading: { at: 0, since: 0, ready, requests: 0, errors: 0, models },
  rates: {
    ...{ seconds: 2, requests: 3, errors: 1 },
    models: { qwen: { tokensPerSecond: 80.04, pace: 40, paced: 80, firstToken: 0.51, thoughts: 0 } },
  },
  silence: null,
});
const silent: HostView = {
  ...{ host: "box9", reading: null, rates: null },
  silence: { why: "http://10.0.0.9:8080/metrics: ECONNREFUSED", next: "`npx lmstack status`" },
};

it("hosts that need a look come first, and each model is told over all hosts", () => {
  const views = [view("box1", { qwen: model(1) }), view("box2", { qwen: model(2, 3) }), silent];
  expect(topLines([...views, view("box3", { qwen: model(0) }, false)], ["qwen", "llama"])).toEqual([
    "2 of 4 hosts ready, 240.1 tokens/s, 9 requests ended and 3 failed since the last look",
    "",
    "MODEL  READY ON  RUNNING  QUEUED  TOKENS/S",
    "qwen   2         3        3       240.1",
    "llama  0         0        0       0.0",
    "",
    "HOST  STATE      MODEL  RUNNING  QUEUED  TOKENS/S  A STREAM  FIRST TOKEN  FAILED",
    "box9  SILENT  http://10.0.0.9:8080/metrics: ECONNREFUSED. Next: `npx lmstack status`",
    "box3  NOT READY  qwen   0/2      0       80.0      40.0      0.51 s       1",
    "box2  ready      qwen   2/2      3       80.0      40.0      0.51 s       1",
    "box1  ready      qwen   1/2      0       80.0      40.0      0.51 s       1",
  ]);
});

it("fits whatever screen there is, and counts what is left out", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 60 })),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 80 }),
      (lines, rows, columns) => {
        const screen = onScreen(lines, rows, columns);
        expect(screen.length).toBeLessThanOrEqual(rows);
        for (const line of screen) expect(line.length).toBeLessThanOrEqual(columns);
        if (columns < 20) return;
        const left = Number(/^… (\d+) more lines$/.exec(screen.at(-1) ?? "")?.[1] ?? 0);
        expect(left === 0 ? screen.length : screen.length - 1 + left).toBe(lines.length);
      },
    ),
  );
});

it("a host whose key is missing is told with what to do, and asked again", async () => {
  let asked = 0;
  const missing = async () => {
    asked += 1;
    throw new CliFault("pulumi config: no stack named 'box' found");
  };
  const views = viewsOf({ name: "box", spec }, missing, async () => {});
  const expected = { host: "box", reading: null, silence: { next: "`npx lmstack fleet sync`" } };
  expect((await views.next()).value).toMatchObject(expected);
  expect((await views.next()).value).toMatchObject(expected);
  expect(asked).toBe(2);
});
