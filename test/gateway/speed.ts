/**
 * 48 KB bodies of Codex's size through HAProxy and the proxy, beside the proxy alone. The same clients ask both, as many at once, and each sends its
 * next request when the last one is answered. The two take turns, first one and then the other ahead, so that what else the machine does hits both.
 *
 * `together`: the proxy is bound to a core, HAProxy to none: on two cores what it needs is taken from everybody. `apart`: as with machines of their own, the
 * proxy's core is the limit either way. HAProxy runs where the clients run, and what they leave there is enough because something else takes half of the
 * proxy's core for as long.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild, startChild } from "../../bench/children.ts";
import { runContest } from "../../bench/contest.ts";
import { bind, chooseLayout } from "../../bench/layout.ts";
import { codexSizeBody } from "../../bench/load/request.ts";
import { lmstack } from "../../bench/peers/lmstack.ts";
import { requestContest } from "../../bench/rows/requests.ts";
import { StandIn } from "../../bench/stand-in.ts";
import { cpuMs } from "../../bench/usage.ts";
import { GatewayPlace } from "./place.ts";

const model = "bench";

export interface Speed {
  /** Requests a second through the gateway, as a share of those of the proxy alone, of each pair of rounds. */
  readonly ratios: readonly number[];
  readonly alone: number;
  readonly through: number;
  /** Microseconds of a core for one request: the proxy's without the gateway and behind it, and the gateway's own. */
  readonly cpu: { readonly alone: number; readonly behind: number; readonly gateway: number };
  readonly errors: number;
}

/** Half of a core's time, by the kernel's own fairness. */
const busy = ["--eval", "for (;;);"];

export async function measureSpeed(
  how: "together" | "apart",
  rounds: number,
  requests: number,
  say: (line: string) => void,
): Promise<Speed> {
  await using open = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "gateway-speed-"));
  open.defer(() => rm(folder, { recursive: true, force: true }));
  const layout = chooseLayout();
  const standIn = await StandIn.start("light", layout?.backend);
  open.defer(() => standIn.end());
  const proxy = await lmstack.start({ backendPort: standIn.port, core: layout?.peer, folder });
  open.defer(async () => {
    if (proxy.process !== undefined) await endChild(proxy.process);
  });
  const place = open.use(
    await GatewayPlace.open([{ host: { name: "box1", port: proxy.port }, models: [model] }], ["box1"], {
      // LM Studio's stand-in of the bench does not say what it has loaded.
      edit: (whole) => whole.replaceAll("default-server check", "default-server"),
    }),
  );
  bind(layout?.load, process.pid);
  const worker = await place.worker();
  if (how === "apart") {
    bind(layout?.load, worker);
    const other = startChild([process.execPath, ...busy], { core: layout?.peer });
    open.defer(() => endChild(other));
  }
  const front = { port: Number(new URL(place.url).port), process: proxy.process };
  const contestants = [
    { label: "alone", peer: proxy, model, share: 1 },
    { label: "through", peer: front, model, share: 1 },
  ];
  const row = {
    name: "gateway",
    title: "48 KB Codex-size body, 8 connections",
    path: "/v1/responses",
    body: (id: string) => codexSizeBody(id, 48 * 1_024),
    connections: 8,
    requests,
    // Which spares HAProxy the search for one in the body.
    headers: { "session-id": "one-of-codex" },
  };
  const contest = requestContest(row, contestants, standIn);
  const { samples, errors } = await runContest(
    {
      ...contest,
      async measure(contestant, size) {
        const before = cpuMs(worker);
        const { values, ...sample } = await contest.measure(contestant, size);
        return { ...sample, values: { ...values, gateway: ((cpuMs(worker) - before) * 1_000) / (requests * size) } };
      },
    },
    rounds,
    say,
  );
  const of = (label: string, value: string) => (samples.get(label) ?? []).map(({ values }) => values[value] ?? 0);
  const [alone, through] = [of("alone", "rps"), of("through", "rps")];
  return {
    ratios: through.map((value, round) => value / (alone[round] as number)),
    ...{ alone: middle(alone), through: middle(through) },
    cpu: {
      alone: middle(of("alone", "cpu")),
      behind: middle(of("through", "cpu")),
      gateway: middle(of("through", "gateway")),
    },
    errors: [...errors.values()].reduce((sum, count) => sum + count, 0),
  };
}

export const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
