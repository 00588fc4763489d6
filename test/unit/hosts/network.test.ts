import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressesFor } from "../../hosts/network.ts";

describe("the addresses of a test host", () => {
  it("are each tried once, leave the bridge's own and the broadcast address alone, and are the same for the same name", () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const addresses = addressesFor(name, "10.0.0.");
        const last = addresses.map((address) => Number(address.split(".")[3]));
        expect(new Set(last).size).toBe(240);
        expect(Math.min(...last)).toBeGreaterThanOrEqual(10);
        expect(Math.max(...last)).toBeLessThan(255);
        expect(addressesFor(name, "10.0.0.")).toEqual(addresses);
      }),
    );
  });
});
