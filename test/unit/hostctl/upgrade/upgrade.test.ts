import { test } from "vitest";
import { type Breakage, good, newer, ServingHost } from "../../../upgrade-runs/broken-version.ts";
import { killUpgrade, tryBroken } from "../../../upgrade-runs/upgrade-run.ts";

/** The slower ones are in `npm run upgrades`. */
const kinds: readonly Breakage[] = ["thinks again", "crashes when it is asked"];

test.concurrent("a broken version is taken back by itself and the failure says why; one that holds stays, and keeps the one before", {
  timeout: 180_000,
}, async ({ expect }) => {
  await using host = await ServingHost.make();
  for (const kind of kinds) expect([kind, await tryBroken(host, kind)]).toEqual([kind, null]);
  await host.setTraps({});
  const { changed, error } = await host.up(newer);
  expect(error).toBeUndefined();
  expect(changed).toContainEqual({ what: "LM Studio", from: good, to: newer });
  expect(await host.faults(newer)).toEqual([]);
  expect(await host.scratch.files()).toContain(`.lmstudio/llmster/${good}/llmster`);
  expect((await host.up(newer)).changed).toEqual([]);
  // Back by the spec to the one that was kept: its archive is not looked at again.
  const again = await host.scratch.must("converge", "lmstudio", { ...host.document(good), url: "file:///gone.tar.gz" });
  expect(again.changed).toContainEqual({ what: "LM Studio", from: newer, to: good });
  expect(await host.faults(good)).toEqual([]);
});

test.concurrent("an upgrade that is killed in the middle leaves a host that serves one version, and the next run is right", {
  timeout: 180_000,
}, async ({ expect }) => {
  await using host = await ServingHost.make();
  expect(await killUpgrade(host, "hostctl", "starting LM Studio's daemon")).toBeNull();
});
