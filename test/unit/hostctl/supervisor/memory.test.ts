import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Estimate, fitsBeside, missingBytes, parseEstimate } from "../../../../hostctl/supervisor/memory.ts";

const gib = 1024 ** 3;
const bytes = fc.integer({ min: 1, max: 200 * gib });
const estimates: fc.Arbitrary<Estimate> = fc.record({
  gpuBytes: fc.option(bytes),
  totalBytes: fc.option(bytes),
  fits: fc.constantFrom(true, false, null),
});
const rooms = fc.option(
  fc.tuple(fc.constantFrom("gpu" as const, "memory" as const), bytes, bytes).map(([of, one, other]) => ({
    of,
    atLeast: Math.min(one, other),
    atMost: Math.max(one, other),
  })),
);

describe("the memory that a load needs", () => {
  test("is read from what LM Studio says, with and without colours", () => {
    const words = "\u001b[1mEstimated GPU Memory:\u001b[22m    21.31 GiB\nEstimated Total Memory:  22.80 GiB\n";
    const verdict = "This model will fail to load based on your resource guardrails settings.";
    expect(parseEstimate(`${words}\n${verdict}`)).toEqual({
      gpuBytes: 21.31 * gib,
      totalBytes: 22.8 * gib,
      fits: false,
    });
    expect(parseEstimate("Estimated GPU Memory: 512.00 MiB\nThis model may be loaded based on").fits).toBe(true);
    expect(parseEstimate("something else")).toEqual({ gpuBytes: null, totalBytes: null, fits: null });
  });

  test("is never a reason to refuse what LM Studio itself would load, nor what nobody can tell", () => {
    fc.assert(
      fc.property(estimates, rooms, bytes, (estimate, free, freed) => {
        const missing = missingBytes(estimate, free, freed);
        if (estimate.fits !== false || free === null) expect(missing).toBe(0);
        if (missing === 0 || free === null) return;
        const needed = free.of === "gpu" ? estimate.gpuBytes : (estimate.totalBytes ?? estimate.gpuBytes);
        expect(needed).toBeGreaterThan((free.atMost + freed) * 1.1);
        expect(missing).toBe(Math.ceil((needed ?? 0) - free.atMost - freed));
      }),
    );
  });

  test("is found beside what is loaded only when both say so, and surely", () => {
    fc.assert(
      fc.property(estimates, rooms, (estimate, free) => {
        if (!fitsBeside(estimate, free)) return;
        expect(estimate.fits).toBe(true);
        expect(missingBytes(estimate, free)).toBe(0);
        const needed = free?.of === "gpu" ? estimate.gpuBytes : (estimate.totalBytes ?? estimate.gpuBytes);
        expect(needed).toBeLessThan(free?.atLeast ?? 0);
      }),
    );
  });
});
