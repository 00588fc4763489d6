import { expect, test } from "vitest";
import { type Breakage, breakages, good, newer, ServingHost } from "../../../upgrade-runs/broken-version.ts";

/** The slower ones are in `npm run upgrades`. */
const kinds: readonly Breakage[] = ["thinks again", "crashes when it is asked"];

test("a broken version is taken back by itself and the failure says why; one that holds stays, and keeps the one before", {
  timeout: 180_000,
}, async () => {
  await using host = await ServingHost.make();
  for (const kind of kinds) {
    await host.setTraps({ [newer]: breakages[kind].traps });
    const { error } = await host.up(newer);
    expect(error?.message).toMatch(breakages[kind].says);
    expect(error?.message).toContain(`${good} serves again`);
    expect(await host.faults(good)).toEqual([]);
    const starts = host.starts();
    expect((await host.up(good)).changed).toEqual([]);
    expect(host.starts()).toBe(starts);
  }
  await host.setTraps({});
  const { changed, error } = await host.up(newer);
  expect(error).toBeUndefined();
  expect(changed).toContainEqual({ what: "LM Studio", from: good, to: newer });
  expect(await host.faults(newer)).toEqual([]);
  expect(await host.scratch.files()).toContain(`.lmstudio/llmster/${good}/llmster`);
  expect((await host.up(newer)).changed).toEqual([]);
});
