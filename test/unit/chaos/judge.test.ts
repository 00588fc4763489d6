import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Expected, everything, faultsOf, type Reply, type Snapshot, wrongIn } from "../../chaos/judge.ts";

const all: Expected = { models: ["a@8192", "b@4096"], quarantined: null };
const right: Snapshot = {
  daemons: [10],
  supervisors: [20],
  proxies: [30],
  leftBehind: [],
  containers: ["running"],
  instances: ["b@4096", "a@8192"],
  report: { pid: 20, lmstudio: { state: "ready" }, models: { a: { state: "ready" }, b: { state: "ready" } } },
  unproved: {},
};

describe("the judge of a host", () => {
  test("finds nothing in a host that is as declared", () => {
    expect(faultsOf(right, all)).toEqual([]);
  });

  test.each<[string, Partial<Snapshot>]>([
    ["2 daemons (10, 11)", { daemons: [10, 11] }],
    ["0 daemons (none)", { daemons: [] }],
    ["2 supervisors (20, 21)", { supervisors: [20, 21] }],
    ["2 proxies (30, 31)", { proxies: [30, 31] }],
    ["left behind: lms.mjs load", { leftBehind: ["lms.mjs load"] }],
    ["containers of the proxy: exited", { containers: ["exited"] }],
    ["containers of the proxy: running, created", { containers: ["running", "created"] }],
    ["LM Studio does not answer", { instances: null }],
    ["loaded: a:2@8192, a@8192, b@4096; expected", { instances: ["a@8192", "a:2@8192", "b@4096"] }],
    ["loaded: a@8192; expected", { instances: ["a@8192"] }],
    ["loaded: a@8192, b@8192; expected", { instances: ["a@8192", "b@8192"] }],
    ["the supervisor reports nothing", { report: null }],
    ["the report is of a supervisor that has gone", { supervisors: [99] }],
    ["b gave no proved token: 503", { unproved: { b: "503" } }],
  ])("names %s", (words, change) => {
    expect(faultsOf({ ...right, ...change }, all).join("\n")).toContain(words);
  });

  const quarantined: Snapshot = {
    ...right,
    instances: ["a@8192"],
    report: {
      pid: 20,
      lmstudio: { state: "ready" },
      models: { a: { state: "ready" }, b: { state: "failed", reason: "its file is gone" } },
    },
  };

  test("wants LM Studio left alone when it is quarantined as a whole, with a report that says so", () => {
    const lmstudio = { state: "failed", reason: "it dies (quarantined: tried again later)" };
    const report = { pid: 20, lmstudio, models: {} };
    const still: Snapshot = { ...right, daemons: [], instances: null, report };
    const wanted = { ...all, quarantined: everything };
    expect(faultsOf(still, wanted)).toEqual([]);
    expect(faultsOf(still, all)).not.toEqual([]);
    for (const change of [
      { daemons: [10] },
      { report: { ...report, lmstudio: { state: "failed", reason: "it dies" } } },
      { report: { ...report, lmstudio: { state: "working" } } },
      { report: { ...report, pid: 19 } },
      { report: null },
      { supervisors: [] },
      { proxies: [] },
    ])
      expect(faultsOf({ ...still, ...change }, wanted)).not.toEqual([]);
  });

  test("wants a quarantined model reported with its reason, and all else as ever", () => {
    expect(faultsOf(quarantined, { ...all, quarantined: "b" })).toEqual([]);
    expect(faultsOf(quarantined, all)).not.toEqual([]);
    expect(faultsOf(right, { ...all, quarantined: "b" })).not.toEqual([]);
    const report = { ...quarantined.report, models: { ...quarantined.report?.models, b: { state: "failed" } } };
    expect(faultsOf({ ...quarantined, report } as Snapshot, { ...all, quarantined: "b" })).toEqual([
      "b is reported failed without a reason",
    ]);
  });

  test("no number of daemons but one passes", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 5 }), (daemons) => {
        expect(faultsOf({ ...right, daemons }, all).length === 0).toBe(daemons.length === 1);
      }),
    );
  });
});

describe("the judge of an answer", () => {
  const whole: Reply = {
    model: "a",
    began: 0,
    ended: 1,
    status: 200,
    text: "word1 word2",
    thoughts: 0,
    end: "complete",
    words: "",
  };
  const wrong = (change: Partial<Reply>, mayBreak = false) => wrongIn({ ...whole, ...change }, whole.text, mayBreak);

  test("takes the whole right answer, and an honest failure after any beginning of it", () => {
    expect(wrong({})).toBeNull();
    for (const text of ["", "word1", "word1 wo"])
      expect(wrong({ text, end: "failed", words: "LM Studio went away" })).toBeNull();
    expect(wrong({ status: 503, text: "", end: "failed", words: "not loaded yet" })).toBeNull();
  });

  test("a connection may break only when the proxy itself was struck", () => {
    expect(wrong({ text: "word1", end: "cut" }, true)).toBeNull();
    expect(wrong({ text: "word1", end: "cut" })).toContain("cut after 5 characters");
    expect(wrong({ status: 0, text: "", end: "cut", words: "ECONNREFUSED" })).toContain("ECONNREFUSED");
  });

  test("what looks whole and is not, thinks, blames the client or says nothing is wrong, whatever was struck", () => {
    for (const mayBreak of [true, false]) {
      expect(wrong({ text: "word1" }, mayBreak)).toContain("a whole answer that is wrong");
      expect(wrong({ text: "word2", end: "cut" }, mayBreak)).toContain("the beginning of an answer");
      expect(wrong({ thoughts: 3 }, mayBreak)).toContain("it thought");
      expect(wrong({ status: 404, text: "", end: "failed", words: "no such model" }, mayBreak)).toContain("blamed");
      expect(wrong({ status: 502, text: "", end: "failed", words: "" }, mayBreak)).toContain("without a word");
    }
  });
});
