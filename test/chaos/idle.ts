/** What the supervisor costs while nothing happens, and how long a look from outside takes. */
import { setTimeout as delay } from "node:timers/promises";
import { mustHold, type Row } from "../e2e/rows.ts";
import { type Place, springTraps } from "./place.ts";

/** A host comes to rest: what was loaded is proved, and V8 has thrown away what only the start needed. */
const restSeconds = 30;
const lmsDelayMs = 400;
const bars = { coreShare: 0.2, megabytes: 60, observeSeconds: 1.5 };

/** Ticks of its own, and of the children it has waited for; then KiB resident and proportional, and ticks a second. */
const figures = `pid=$(systemctl show -p MainPID --value lmstack-supervisor.service)
awk '{ print $14 + $15; print $16 + $17 }' /proc/$pid/stat
awk '/^(Rss|Pss):/ { print $2 }' /proc/$pid/smaps_rollup
getconf CLK_TCK`;

/** The document is what the host was last told. */
const observe = `cd; python3 - <<'END' > .observe.json
import glob, json
desired = ".lmstack/desired/"
models = [json.load(open(path))["document"] for path in sorted(glob.glob(desired + "model-*.json"))]
lmstudio = json.load(open(desired + "lmstudio.json"))
print(json.dumps({"stack": lmstudio["stack"], "become": lmstudio["become"], "backendPort": 8081, "proxyPort": 8080, "models": models, "lmstudio": lmstudio}))
END
before=$(date +%s%N)
.lmstack/current/node .lmstack/current/hostctl.mjs observe < .observe.json > .observed.json || cat .observed.json
echo $(( ($(date +%s%N) - before) / 1000000 ))
rm .observe.json .observed.json`;

export async function measureIdle(place: Place, seconds: number, say: (line: string) => void): Promise<Row[]> {
  const { host } = place.box;
  const numbers = async (command: string, root: boolean) => {
    const { stdout } = await host.exec(command, { root });
    return stdout.trim().split("\n").map(Number);
  };
  say(`the host comes to rest for ${restSeconds} s`);
  await delay(restSeconds * 1000);
  const [ownBefore = 0, othersBefore = 0] = await numbers(figures, true);
  say(`the supervisor is watched for ${seconds} s`);
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await delay(Math.min(20_000, end - performance.now()));
    say("nothing happens");
  }
  const [own = 0, others = 0, resident = 0, proportional = 0, ticks = 100] = await numbers(figures, true);
  const shareOf = (spent: number) => (spent / ticks / seconds) * 100;
  const [ownShare, childShare] = [shareOf(own - ownBefore), shareOf(others - othersBefore)];
  const share = ownShare + childShare;

  await springTraps(host, { lmsDelayMs });
  const [up = Number.NaN] = await numbers(observe, false);
  await host.exec("systemctl stop lmstack-supervisor.service", { root: true });
  const [down = Number.NaN] = await numbers(observe, false);
  const { stdout: started } = await host.exec("pgrep -x llmster || true");
  await host.exec("systemctl start lmstack-supervisor.service", { root: true });
  await springTraps(host);
  const observed = (state: string, ms: number): Row => ({
    name: `observe on the host, LM Studio ${state}, \`lms\` of ${lmsDelayMs} ms`,
    value: ms / 1000,
    unit: "s",
    bar: `<= ${bars.observeSeconds} s`,
    ok: ms <= bars.observeSeconds * 1000,
  });
  return [
    {
      name: `supervisor idle for ${seconds} s, with its children (${childShare.toFixed(2)})`,
      value: Number(share.toFixed(2)),
      unit: "% of a core",
      bar: `<= ${bars.coreShare} %`,
      ok: share <= bars.coreShare,
    },
    {
      name: `supervisor's memory, resident (proportional ${(proportional / 1024).toFixed(1)} MiB)`,
      value: Number((resident / 1024).toFixed(1)),
      unit: "MiB",
      bar: `<= ${bars.megabytes} MiB`,
      ok: resident / 1024 <= bars.megabytes,
    },
    observed("up", up),
    observed("down", down),
    mustHold("observe starts no daemon that is down", started.trim() === "", started.trim() || "holds"),
  ];
}
