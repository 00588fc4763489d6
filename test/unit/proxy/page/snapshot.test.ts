import { describe, expect, it } from "vitest";
import { type SnapshotParts, statusSnapshot } from "../../../../proxy/page/snapshot.ts";
import { error, idle, parts } from "./parts.ts";

const model = { reasoning: undefined, parallel: 2, contextLength: undefined };
const names = (changed: Partial<SnapshotParts>) =>
  statusSnapshot({ ...parts, ...changed }).models.map((status) => status.model);

describe("the models that the page shows", () => {
  it("are those of the configuration, then what is loaded, then what is asked for, each once", () => {
    const config = {
      ...parts.config,
      models: { z: { thinking: "off" }, a: { thinking: "on" }, "*": { thinking: "off" } },
    } as const;
    const loaded = new Map([
      ["extra", model],
      ["a", model],
    ]);
    const queues = [
      { model: "asked", slots: null, ...idle, running: 1 },
      { model: "a", slots: 2, ...idle, queued: 3 },
      { model: "long ago", slots: null, ...idle },
    ];
    expect(names({ config, loaded, queues })).toEqual(["z", "a", "extra", "asked"]);
  });

  it("never have a row for the names that unknown models are counted under", () => {
    const series = ["other", "none", "was here"].map((name) => ({
      model: name,
      tokensPerSecond: [1],
      firstTokenMs: [null],
    }));
    expect(names({ series: { ...parts.series, models: series } })).toEqual(["m", "was here"]);
  });

  it("are not as many as a client can think of", () => {
    const queues = Array.from({ length: 80 }, (_, index) => ({ model: `x${index}`, slots: null, ...idle, running: 1 }));
    const { models, moreModels } = statusSnapshot({ ...parts, queues });
    expect([models.length, moreModels]).toEqual([50, 31]);
  });

  it("are not known to be loaded while LM Studio does not answer", () => {
    const [status] = statusSnapshot({ ...parts, loaded: undefined }).models;
    expect(status).toMatchObject({ state: "unknown", contextLength: null });
  });

  it("have the slots that would hold before anybody has asked", () => {
    expect(statusSnapshot(parts).models[0]).toMatchObject({ slots: 2, running: 0, queued: 0 });
    const queues = [{ model: "m", slots: null, ...idle }];
    expect(statusSnapshot({ ...parts, queues }).models[0]).toMatchObject({ slots: null });
  });
});

describe("what strangers wrote", () => {
  it("is one short line each", () => {
    const long = `a\u0000\n${"b".repeat(5_000)}`;
    const queues = [{ model: long, slots: null, ...idle, running: 1 }];
    const series = { ...parts.series, recentErrors: [error({ message: long, model: long })] };
    const { models, errors } = statusSnapshot({ ...parts, queues, series });
    const shown = [models[1]?.model, errors[0]?.model, errors[0]?.message] as string[];
    expect(shown.map((text) => text.length <= 1_000 && /^a b+…$/.test(text))).toEqual([true, true, true]);
    expect(models[1]?.model.length).toBeLessThanOrEqual(120);
  });
});
