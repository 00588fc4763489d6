/** Rollouts that go well and wrong, and then a look for the planted key wherever it must not be. */
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { gunzipSync } from "node:zlib";
import { argumentsDuring, formsFoundIn, formsOf } from "../e2e/planted-secret.ts";
import { mustHold, type Row } from "../e2e/rows.ts";
import { tryBad } from "./bad-model.ts";
import { openPlace, type Place } from "./place.ts";
import { rollout } from "./rollout.ts";
import type { Scenario } from "./scenario.ts";

export const secrets: Scenario = {
  what: "a planted key is nowhere in state, logs, output, arguments",
  times: 1,
  rows: async ({ say }) => {
    await using place = await openPlace("secrets", { say, mac: false });
    const forms = formsOf(place.key);
    const work = (async () => {
      await tryBad(place, "thinks", say);
      await rollout(place, { model: "B" }, say);
    })();
    const lines = await argumentsDuring(work, forms);
    return [
      mustHold("no process had it among its arguments", lines.length === 0, lines.join("; ") || "holds"),
      ...(await secretRows(place)),
    ];
  },
};

/** @param planted the hosts' key when absent */
export async function secretRows(
  { fleet, folder, hosts, key }: Place,
  planted: readonly string[] = [key],
): Promise<Row[]> {
  const forms = planted.flatMap(formsOf);
  const row = (name: string, found: readonly string[]): Row =>
    mustHold(name, found.length === 0, found.join("; ") || "holds");
  const printed = fleet.transcript.filter((text) => formsFoundIn(text, forms).length > 0);
  const onHosts = await Promise.all(
    hosts.map(async (host) => {
      const logs =
        "journalctl --no-pager -o cat; find /home/gpu/.lmstack/logs /home/gpu/.lmstack/state -type f -exec cat {} +";
      const { stdout } = await host.exec(logs, { root: true, reject: false });
      return formsFoundIn(stdout, forms).length > 0 ? [host.name] : [];
    }),
  );
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const kept = await Promise.all(
    files.map(async ({ parentPath, name }) => {
      const text = await readFile(join(parentPath, name), "utf8");
      return formsFoundIn(`${text}\n${unpacked(text)}`, forms).length > 0
        ? [relative(folder, join(parentPath, name))]
        : [];
    }),
  );
  return [
    row(
      "nothing that was printed holds it",
      printed.map((text) => `${text.slice(0, 60)}…`),
    ),
    row("no log and no state of a host holds it", onHosts.flat()),
    row("no file of the state, the journal and the inventory holds it", kept.flat()),
  ];
}

/** What lies packed in a text, as the journal's specs do. */
const unpacked = (text: string): string =>
  [...text.matchAll(/H4sI[\w+/]+=*/g)]
    .map(([packed]) => gunzipSync(Buffer.from(packed, "base64")).toString())
    .join("\n");
