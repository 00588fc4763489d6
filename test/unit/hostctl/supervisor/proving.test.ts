import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Host, hostAt } from "../../../../hostctl/host.ts";
import { readJournal } from "../../../../hostctl/journal.ts";
import { markOf } from "../../../../hostctl/process.ts";
import {
  type KeptProof,
  keepProof,
  readKeptProof,
  type Subject,
  subjectsOf,
} from "../../../../hostctl/prove/kept-proofs.ts";
import type { Desired } from "../../../../hostctl/supervisor/decide.ts";
import {
  type Course,
  courseAfter,
  courseWithout,
  needsReload,
  Proving,
  unknownCourse,
  type Verdict,
  verdictOf,
  whatToProve,
} from "../../../../hostctl/supervisor/proving.ts";
import { type SimServer, startSimServer } from "../../../lmstudio-sim/sim-server.ts";
import { startTestProxy, type TestProxy } from "../../proxy/harness.ts";

const minute = 60_000;
const subject = (id: string, instance = "i1"): Subject => ({ id, contextLength: 4096, instance, build: "b1" });
const held = (at: number, changes: Partial<KeptProof> = {}): KeptProof => ({
  at: new Date(at).toISOString(),
  depth: "full",
  ok: true,
  words: "",
  tokensPerSecond: null,
  firstTokenMs: null,
  instance: "i1",
  whole: "b1",
  ...changes,
});

/** Lives through `steps` of what happens to one model, asking what to prove every `everyMs`. */
function live(answers: readonly Verdict[], everyMs: number) {
  let course: Course = unknownCourse;
  let now = 1_800_000_000_000;
  let instance = 0;
  const asked: { at: number; depth: string; whenQuiet: boolean }[] = [];
  const reloads: number[] = [];
  for (const verdict of answers) {
    now += everyMs;
    if (needsReload(course, now)) {
      course = courseWithout(course, now);
      instance += 1;
      reloads.push(now);
      continue;
    }
    const one = subject("m", `i${instance}`);
    const step = whatToProve([one], () => course, now);
    if (step === null) continue;
    const { depth, whenQuiet } = step;
    asked.push({ at: now, depth, whenQuiet });
    const after = courseAfter(course, depth, verdict, now);
    const whole = verdict === "holds" && depth === "full" ? one.build : (course.proof?.whole ?? null);
    const proof = held(now, { depth, ok: verdict === "holds", instance: one.instance, whole });
    course = { ...after.course, proof: after.told ? proof : after.course.proof };
  }
  return { asked, reloads, course, now };
}

const verdicts = fc.constantFrom<Verdict>("holds", "fails", "indefinite");

describe("what is proved", () => {
  test("is first what nobody has proved since it was loaded, whoever uses the endpoint, then the whole of a build, then a token", () => {
    const courses: Record<string, Course> = {
      old: { ...unknownCourse, proof: held(1) },
      rebuilt: { ...unknownCourse, proof: held(1, { whole: "b0" }) },
      reloaded: { ...unknownCourse, proof: held(1), goneAt: minute },
    };
    const now = 60 * minute;
    const next = (...ids: string[]) =>
      whatToProve(
        ids.map((id) => subject(id)),
        (id) => courses[id] ?? unknownCourse,
        now,
      );
    expect(next("old", "rebuilt", "reloaded")).toMatchObject({
      subject: { id: "reloaded" },
      depth: "thinking",
      whenQuiet: false,
    });
    expect(next("rebuilt", "old")).toMatchObject({ subject: { id: "rebuilt" }, depth: "full", whenQuiet: true });
    expect(next("old")).toMatchObject({ depth: "pulse", whenQuiet: true });
    expect(next()).toBeNull();
  });

  test("is never a model that is not there, nor one before its time", () => {
    const courses = fc.dictionary(
      fc.constantFrom("a", "b", "c"),
      fc.record({
        proof: fc.option(fc.integer({ min: 0, max: 10 * minute }).map((at) => held(at))),
        goneAt: fc.nat(10 * minute),
        failures: fc.nat(9),
        misses: fc.nat(3),
        answeredAt: fc.nat(10 * minute),
        notBefore: fc.nat(20 * minute),
        reloads: fc.array(fc.nat(20 * minute)),
      }),
    );
    fc.assert(
      fc.property(courses, fc.subarray(["a", "b", "c"]), fc.nat(20 * minute), (known, ids, now) => {
        const courseOf = (id: string) => known[id] ?? unknownCourse;
        const step = whatToProve(
          ids.map((id) => subject(id)),
          courseOf,
          now,
        );
        const may = ids.filter((id) => courseOf(id).notBefore <= now);
        if (step !== null) expect(may).toContain(step.subject.id);
        if (may.some((id) => courseOf(id).proof === null)) expect(step).toMatchObject({ whenQuiet: false });
      }),
    );
  });

  test("costs a model that holds one token in five minutes and no more", () => {
    const { asked, reloads } = live(Array(2000).fill("holds"), 2000);
    expect(asked.slice(0, 2).map(({ depth }) => depth)).toEqual(["thinking", "full"]);
    const pulses = asked.slice(2);
    expect(pulses.every(({ depth, whenQuiet }) => depth === "pulse" && whenQuiet)).toBe(true);
    for (const [index, { at }] of pulses.entries())
      expect(at - (asked[index + 1]?.at ?? 0)).toBeGreaterThanOrEqual(5 * minute);
    expect(reloads).toEqual([]);
  });

  test("costs a model that thinks again less and less, and never its instance", () => {
    const { asked, reloads, course, now } = live(Array(7200).fill("fails"), 2000);
    expect(reloads).toEqual([]);
    expect(course.proof?.ok).toBe(false);
    expect(asked.length).toBeLessThan(12);
    expect(now - (asked.at(-1)?.at ?? 0)).toBeLessThanOrEqual(61 * minute);
  });

  test("leads to a reload only after two pulses in a row without an answer, and to three in an hour at most", () => {
    fc.assert(
      fc.property(fc.array(verdicts, { maxLength: 800, size: "max" }), (answers) => {
        const { reloads, asked } = live(answers, 5000);
        for (const at of reloads) {
          expect(reloads.filter((one) => one <= at && at - one < 60 * minute).length).toBeLessThanOrEqual(3);
          const before = asked.filter((one) => one.at < at).slice(-2);
          expect(before.map(({ depth }) => depth)).toEqual(["pulse", "pulse"]);
        }
      }),
      { numRuns: 50 },
    );
    const silent = ["holds", "holds", ...Array(4000).fill("indefinite")] as Verdict[];
    expect(live(silent, 5000).reloads.length).toBe(1);
  });

  test("fails at once when a model thinks, and only after three times when nothing came", () => {
    const toldAfter = (verdict: Verdict, times: number) => {
      let told = false;
      let course = unknownCourse;
      for (let time = 0; time < times; time++) ({ course, told } = courseAfter(course, "thinking", verdict, 0));
      return told;
    };
    expect([toldAfter("fails", 1), toldAfter("indefinite", 2), toldAfter("indefinite", 3)]).toEqual([
      true,
      false,
      true,
    ]);
    const finding = { model: "m", endpoint: "/v1/responses", found: "" } as const;
    expect(verdictOf({ ok: false, findings: [{ ...finding, check: "answers", verdict: "failed" }] })).toBe(
      "indefinite",
    );
    const thinks = { ...finding, check: "thinking", verdict: "failed" } as const;
    expect(verdictOf({ ok: false, findings: [thinks] })).toBe("fails");
    // A pulse that sees it asks for the proof, and never for another instance.
    expect(courseAfter({ ...unknownCourse, misses: 1 }, "pulse", "fails", minute).course).toMatchObject({
      misses: 0,
      goneAt: minute,
    });
  });
});

describe("a supervisor", () => {
  const id = "alpha";
  const daemon = markOf(process.pid);
  const load = { exactPath: "local/a/a.gguf", file: "/a.gguf", contextLength: 4096, parallel: 2, gpu: "max" } as const;
  const desired: Desired = {
    lmstudio: { backendPort: 1, engine: null, digest: "d" },
    models: [{ identifier: id, digest: "d1", ...load }],
  };
  const [of] = subjectsOf(desired, daemon, null) as [Subject];
  let host: Host;
  let lmstudio: SimServer;
  let proxy: TestProxy;
  let proving: Proving;
  let stop: AbortController;

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    host = hostAt(await mkdtemp(join(tmpdir(), "lmstack-proving-")), () => {});
    lmstudio = await startSimServer({ models: [{ id, contextLength: 4096, thinkTokens: 20, tokenMs: 1 }] });
    const models = { [id]: { thinking: "off", contextLength: 4096 } } as const;
    proxy = await startTestProxy({ upstream: lmstudio.url, models });
    await writeFile(join(proxy.folder, "proxy.json"), JSON.stringify({ models }));
    await mkdir(host.paths.root);
    await symlink(proxy.folder, host.paths.proxy);
    stop = new AbortController();
    proving = new Proving(
      host,
      () => {},
      stop.signal,
      () => {},
    );
  });

  afterEach(async () => {
    vi.useRealTimers();
    stop.abort();
    await proving.settled();
    await proxy[Symbol.asyncDispose]();
    await lmstudio.close();
    await rm(host.home, { recursive: true, force: true });
  });

  async function look(loaded: readonly string[] = [id]): Promise<void> {
    await proving.look(desired, loaded, daemon);
    await proving.settled();
  }

  const later = (ms: number) => vi.setSystemTime(Date.now() + ms);
  /** The proxy itself reads LM Studio's list of models from time to time. */
  const asked = () => lmstudio.journal().filter((one) => one.event === "request" && one.method === "POST").length;
  /** A client's. */
  const used = async () => {
    const body = JSON.stringify({ model: id, input: "hello", max_output_tokens: 4 });
    await (await fetch(`http://127.0.0.1:${proxy.port}/v1/responses`, { method: "POST", body })).text();
  };

  test("proves what it has loaded, then the whole of a new build, and asks for a token when nobody has used it for a while", async () => {
    await look();
    expect(proving.proofs[id]).toMatchObject({ ok: true, depth: "thinking" });
    expect((await readJournal(host)).at(-1)).toMatchObject({ what: "proving alpha (thinking)", ok: true });
    await look();
    expect(await readKeptProof(host, id)).toMatchObject({ depth: "full", ok: true, whole: of.build });
    const before = asked();
    later(4 * minute);
    await look();
    expect(asked()).toBe(before);
    later(2 * minute);
    await look();
    expect(asked()).toBe(before + 1);
    expect(lmstudio.bodies("/v1/responses").at(-1)).toMatchObject({ max_output_tokens: 1 });
  });

  test("asks for nothing while somebody uses the endpoint", async () => {
    await look();
    await look();
    for (let time = 0; time < 5; time++) {
      later(6 * minute);
      await used();
      const before = asked();
      await look();
      expect(asked()).toBe(before);
    }
  });

  test("tells at once that a model thinks again, with the transcript, does not load it again, and tells when it is right", async () => {
    lmstudio.set({ thinksAnyway: true });
    await look();
    expect(proving.proofs[id]).toMatchObject({ ok: false, words: expect.stringContaining("it thought: ") });
    expect((await readJournal(host)).at(-1)).toMatchObject({ ok: false, result: expect.stringContaining("asked:") });
    expect(proving.silent).toEqual([]);
    lmstudio.set({ thinksAnyway: false });
    later(2 * minute);
    await look();
    expect(proving.proofs[id]?.ok).toBe(true);
  });

  test("has a model loaded again that gave no answer twice, and proves it anew then", async () => {
    await look();
    await look();
    await lmstudio.down();
    later(6 * minute);
    await look();
    expect(proving.silent).toEqual([]);
    later(20_000);
    await look();
    expect(proving.silent).toEqual([id]);
    expect((await readJournal(host)).filter(({ ok }) => !ok)).toHaveLength(2);
    await lmstudio.up();
    await look([]);
    expect(proving.silent).toEqual([]);
    expect(proving.proofs[id]).toBeUndefined();
    later(1000);
    await look();
    expect(proving.proofs[id]).toMatchObject({ ok: true, depth: "thinking" });
  });

  test("takes what up has proved meanwhile instead of asking the same", async () => {
    await look([]);
    later(1000);
    const figures = { tokensPerSecond: 9, firstTokenMs: 1, contextAccepted: null, strategies: {}, milliseconds: 1 };
    await keepProof(host, of, "full", { id, ok: true, findings: [], ...figures });
    await look();
    await look();
    expect(asked()).toBe(0);
    expect(proving.proofs[id]).toMatchObject({ ok: true, depth: "full", tokensPerSecond: 9 });
  });
});
