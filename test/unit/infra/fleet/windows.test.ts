/** Maintenance windows on the clock of their own place. */
import { expect, it } from "vitest";
import { policySchema } from "../../../../infra/fleet/inventory.ts";
import { windowAt } from "../../../../infra/fleet/windows.ts";

const stateAt = (window: object, moment: string) => {
  const [parsed] = policySchema.parse({ windows: [window] }).windows;
  if (!parsed) throw new Error("no window");
  const { open, opens } = windowAt(parsed, Temporal.Instant.from(moment));
  return open ? "open" : opens?.toString({ smallestUnit: "minute", offset: "never", timeZoneName: "never" });
};
const night = { from: "22:00", to: "06:00", zone: "Europe/Berlin" };
const friday = { ...night, days: ["fri"] };

it.each([
  ["is open from its first minute", night, "2026-11-27T21:00:00Z", "open"],
  ["is open after midnight", night, "2026-11-28T04:59:59Z", "open"],
  ["is closed from its last minute on, and opens the next evening", night, "2026-11-28T05:00:00Z", "2026-11-28T22:00"],
  ["that opens on a day reaches into the next one", friday, "2026-11-28T04:00:00Z", "open"],
  ["that opens on a day opens a week later", friday, "2026-11-28T05:00:00Z", "2026-12-04T22:00"],
  [
    "is open in the hour that the clock jumps over",
    { ...night, from: "02:30", to: "04:00" },
    "2027-03-28T01:40:00Z",
    "open",
  ],
  ["that ends when it begins is open all day", { from: "00:00", to: "00:00" }, "2026-11-28T12:00:00Z", "open"],
])("a window %s", (_, window, moment, state) => {
  expect(stateAt(window, moment)).toBe(state);
});
