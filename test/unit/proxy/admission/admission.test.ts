import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Admission, type AdmissionRequest, type Slot, type Waiting } from "../../../../proxy/admission/admission.ts";
import { faultBody } from "../../../../proxy/errors/dialect.ts";
import { Fault } from "../../../../proxy/errors/fault.ts";
import { ClientGone } from "../../../../proxy/relay/body.ts";

const limits = { queue: 2, queueSeconds: 600 };
let declared: { limits: typeof limits; slots: Record<string, number> };

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  declared = { limits: { ...limits }, slots: { m: 1 } };
});
afterEach(() => vi.useRealTimers());

const admission = () =>
  new Admission({ limits: () => declared.limits, slotsOf: (model) => declared.slots[model], now: Date.now });

const ask = (changes: Partial<AdmissionRequest> = {}): AdmissionRequest => ({
  model: "m",
  key: "ann",
  low: false,
  thread: undefined,
  ...changes,
});

function atOnce(entered: Slot | Waiting): Slot {
  if ("slot" in entered) throw new Error("it has to wait");
  return entered;
}

function waits(entered: Slot | Waiting): Waiting {
  if (!("slot" in entered)) throw new Error("it did not have to wait");
  return entered;
}

const refusal = async (entered: Slot | Waiting): Promise<Fault> => {
  const error = await waits(entered).slot.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Fault) return error;
  throw new Error(`no Fault, but ${String(error)}`);
};

const fullRefusal = (queues: Admission): Fault => {
  try {
    queues.enter(ask());
  } catch (error) {
    if (error instanceof Fault) return error;
  }
  throw new Error("it was not refused");
};

describe("a request for a model", () => {
  it("has a free slot at once, and the next one has it as soon as it is released", async () => {
    const queues = admission();
    const first = atOnce(queues.enter(ask()));
    expect(first.waitedMs).toBe(0);
    const second = waits(queues.enter(ask()));
    vi.advanceTimersByTime(1_500);
    first.release();
    expect((await second.slot).waitedMs).toBe(1_500);
  });

  it("gives its slot back once, however often it is released", () => {
    const queues = admission();
    const first = atOnce(queues.enter(ask()));
    first.release();
    first.release();
    expect(queues.snapshot()).toMatchObject([{ running: 0 }]);
    atOnce(queues.enter(ask()));
    waits(queues.enter(ask()));
  });

  it("never waits for a model without a limit, nor for another model's requests", () => {
    const queues = admission();
    for (let each = 0; each < 100; each++) atOnce(queues.enter(ask({ model: "free" })));
    atOnce(queues.enter(ask()));
    atOnce(queues.enter(ask({ model: "other" })));
  });

  it("is refused by a full queue in words, with a time after which to try again", () => {
    const queues = admission();
    for (let each = 0; each < 3; each++) queues.enter(ask());
    const fault = fullRefusal(queues);
    expect(fault).toMatchObject({ status: 503, code: "queue_full", retryAfter: 5 });
    expect(fault.message).toMatch(/"m" is busy: 1 run and 2 wait.*Try again in 5 s/);
    expect(faultBody(fault, "responses")).not.toContain("server_is_overloaded");
  });

  it("is refused when it has waited too long, and only then", async () => {
    const queues = admission();
    atOnce(queues.enter(ask()));
    const second = queues.enter(ask());
    const told = vi.fn<(fault: Fault) => void>();
    const refused = refusal(second).then(told);
    await vi.advanceTimersByTimeAsync(599_999);
    expect(told).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await refused;
    expect(told.mock.calls[0]?.[0]).toMatchObject({ status: 503, code: "queue_timeout", retryAfter: 5 });
    expect(told.mock.calls[0]?.[0].message).toMatch(/"m".*600 s.*1 run and 0 wait/);
    expect(queues.snapshot()).toMatchObject([{ running: 1, queued: 0 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is told to try later when more requests wait behind it", async () => {
    const queues = admission();
    atOnce(queues.enter(ask()));
    const second = queues.enter(ask());
    vi.advanceTimersByTime(1_000);
    queues.enter(ask());
    await vi.advanceTimersByTimeAsync(599_000);
    expect(await refusal(second)).toMatchObject({ retryAfter: 10 });
  });

  it("leaves no timer and no unheard rejection when its client goes away", async () => {
    const queues = admission();
    atOnce(queues.enter(ask()));
    const unheard = vi.fn();
    process.once("unhandledRejection", unheard);
    waits(queues.enter(ask())).leave();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", unheard);
    expect(unheard).not.toHaveBeenCalled();
  });

  it("leaves its place at once when its client goes away, and the rest of the queue moves up", async () => {
    const queues = admission();
    const first = atOnce(queues.enter(ask()));
    const second = waits(queues.enter(ask()));
    const third = waits(queues.enter(ask()));
    second.leave();
    expect(queues.snapshot()).toMatchObject([{ queued: 1 }]);
    waits(queues.enter(ask()));
    await expect(second.slot).rejects.toBeInstanceOf(ClientGone);
    first.release();
    await third.slot;
  });

  it("keeps no slot when its client goes away in the moment in which it gets one", async () => {
    const queues = admission();
    const first = atOnce(queues.enter(ask()));
    const second = waits(queues.enter(ask()));
    first.release();
    second.leave();
    expect(queues.snapshot()).toMatchObject([{ running: 0, queued: 0 }]);
    (await second.slot).release();
    expect(queues.snapshot()).toMatchObject([{ running: 0, queued: 0 }]);
  });

  it("waits while its model is held, and goes on when the swap is over", async () => {
    const queues = admission();
    const running = atOnce(queues.enter(ask()));
    queues.hold("m", 60);
    expect([...queues.held]).toEqual([["m", Date.now() + 60_000]]);
    const waiting = Array.from({ length: 5 }, () => waits(queues.enter(ask())));
    running.release();
    atOnce(queues.enter(ask({ model: "other" })));
    expect(queues.snapshot()[0]).toMatchObject({ running: 0, queued: 5, heldUntil: Date.now() + 60_000 });
    expect(queues.resume("m")).toBe(true);
    expect(queues.resume("m")).toBe(false);
    expect(queues.held.size).toBe(0);
    for (const one of waiting) (await one.slot).release();
  });

  it("waits for a held model without a limit too, and all go on together when nobody ends the hold", async () => {
    const queues = admission();
    queues.hold("free", 30);
    const waiting = Array.from({ length: 5 }, () => waits(queues.enter(ask({ model: "free" }))));
    await vi.advanceTimersByTimeAsync(30_000);
    const slots = await Promise.all(waiting.map((one) => one.slot));
    expect(slots.map((slot) => slot.waitedMs)).toEqual([30_000, 30_000, 30_000, 30_000, 30_000]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("finds no hold any more once its time is over", () => {
    const queues = admission();
    queues.hold("m", 60);
    vi.advanceTimersByTime(60_000);
    expect(queues.held.size).toBe(0);
    atOnce(queues.enter(ask()));
  });

  it("is told of a model that is being loaded anew when the hold was longer than its patience", async () => {
    const queues = admission();
    queues.hold("m", 700);
    const refused = refusal(queues.enter(ask()));
    await vi.advanceTimersByTimeAsync(600_000);
    expect(await refused).toMatchObject({ code: "queue_timeout", retryAfter: 60 });
    expect((await refused).message).toContain("being loaded anew");
  });

  it("waits for what another process runs, and goes on as that ends", async () => {
    const queues = admission();
    queues.claims("predecessor", { m: 1, free: 7 });
    const first = waits(queues.enter(ask()));
    atOnce(queues.enter(ask({ model: "free" })));
    expect(queues.snapshot()).toMatchObject([
      { model: "m", slots: 1, running: 0, claimed: 1, queued: 1 },
      { model: "free", slots: null, running: 1, claimed: 7 },
    ]);
    queues.claims("another", { m: 1 });
    expect(queues.snapshot()[0]).toMatchObject({ claimed: 2 });
    queues.enter(ask());
    expect(fullRefusal(queues).message).toContain("2 run and 2 wait");
    queues.claims("predecessor", {});
    expect(queues.snapshot()[0]).toMatchObject({ running: 0, claimed: 1 });
    queues.claims("another", { m: 0 });
    await first.slot;
  });

  it("follows slots and limits that are declared anew", async () => {
    const queues = admission();
    atOnce(queues.enter(ask()));
    const second = waits(queues.enter(ask()));
    const third = queues.enter(ask());
    declared.slots.m = 2;
    queues.slotsChanged();
    await second.slot;
    const refused = refusal(third);
    declared.limits.queueSeconds = 1;
    queues.slotsChanged();
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await refused).message).toContain("(1 s)");
  });

  it("is refused when the proxy ends while it waits, held or not", async () => {
    const queues = admission();
    atOnce(queues.enter(ask()));
    const second = queues.enter(ask());
    queues.hold("held", 60);
    const third = queues.enter(ask({ model: "held" }));
    queues.close();
    expect(await refusal(second)).toMatchObject({ status: 503, retryAfter: 1 });
    expect(await refusal(third)).toMatchObject({ status: 503, retryAfter: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a request for a model that LM Studio has not loaded", () => {
  const missing = new Set<string>();
  const missed = vi.fn();
  const parts = { slotsOf: () => 1, limits: () => declared.limits, now: () => Date.now(), onMissed: missed };
  const loading = () => new Admission({ ...parts, isMissing: (model) => missing.has(model) });
  beforeEach(() => {
    missing.clear();
    missing.add("m");
    missed.mockClear();
  });

  it("waits until it is, and says that somebody waits", async () => {
    const queues = loading();
    const first = waits(queues.enter(ask()));
    expect(missed).toHaveBeenCalledTimes(1);
    atOnce(queues.enter(ask({ model: "other" })));
    expect(queues.snapshot()[0]).toMatchObject({ missing: true, queued: 1, running: 0 });
    queues.slotsChanged();
    expect(missed).toHaveBeenCalledTimes(2);
    missing.clear();
    vi.advanceTimersByTime(3_000);
    queues.slotsChanged();
    expect((await first.slot).waitedMs).toBe(3_000);
    expect([queues.isMissed, missed.mock.calls.length]).toEqual([false, 2]);
  });

  it("is told after limits.queueSeconds which model it was, and when to ask again", async () => {
    const queues = loading();
    const refused = refusal(queues.enter(ask()));
    await vi.advanceTimersByTimeAsync(600_000);
    expect(await refused).toMatchObject({ status: 503, code: "model_not_loaded", retryAfter: expect.any(Number) });
    expect((await refused).message).toMatch(/has not loaded the model "m".*\(600 s\).*lmstack status/);
  });

  it("leaves at once when its client goes, and is missed by nobody", async () => {
    const queues = loading();
    const first = waits(queues.enter(ask()));
    first.leave();
    await expect(first.slot).rejects.toBeInstanceOf(ClientGone);
    expect(queues.isMissed).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits for the end of a hold too", async () => {
    const queues = loading();
    const first = waits(queues.enter(ask()));
    queues.hold("m", 60);
    missing.clear();
    queues.slotsChanged();
    expect(queues.snapshot()[0]).toMatchObject({ queued: 1, missing: false });
    queues.resume("m");
    await first.slot;
  });
});

describe("whoever follows the queues", () => {
  it("hears once of everything that changed together, and no more after leaving", async () => {
    const queues = admission();
    const heard = vi.fn();
    const end = queues.onChange(heard);
    atOnce(queues.enter(ask()));
    queues.enter(ask());
    queues.hold("m", 5);
    expect(heard).not.toHaveBeenCalled();
    await Promise.resolve();
    expect(heard).toHaveBeenCalledTimes(1);
    queues.resume("m");
    await Promise.resolve();
    expect(heard).toHaveBeenCalledTimes(2);
    end();
    queues.hold("m", 5);
    await Promise.resolve();
    expect(heard).toHaveBeenCalledTimes(2);
  });

  it("is not shown every name that some client made up", () => {
    const queues = admission();
    for (let each = 0; each < 1_000; each++) {
      declared.slots[`made-up-${each}`] = 1;
      atOnce(queues.enter(ask({ model: `made-up-${each}` }))).release();
      atOnce(queues.enter(ask({ model: `free-${each}` }))).release();
    }
    expect(queues.snapshot().length).toBeLessThanOrEqual(64);
    expect(queues.snapshot().filter(({ slots }) => slots === null)).toEqual([]);
  });
});
