/** `npm run handover -- --replacements N --seed N --json FILE`: replacing the proxy refuses nobody and cuts nobody off. */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { execa } from "execa";
import { report } from "../e2e/rows.ts";
import { runHandover, type Way } from "./handover-run.ts";

const { values } = parseArgs({
  options: {
    way: { type: "string", default: "both" },
    replacements: { type: "string", default: "20" },
    rps: { type: "string", default: "200" },
    streams: { type: "string", default: "50" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(`Replaces the proxy again and again under load and counts whom it refused and cut off. Both ways: processes that share the port
(SO_REUSEPORT; the kernel must hand on waiting connections, net.ipv4.tcp_migrate_req, which a network namespace of the run's own gets), and a
parent that holds the socket.

  npm run handover -- [--way both|port|parent] [--replacements 20] [--rps 200] [--streams 50] [--seed 1] [--json FILE]`);
} else {
  process.exitCode = await main();
}

async function main(): Promise<number> {
  const [replacements, requestsPerSecond, streams, seed] = [
    values.replacements,
    values.rps,
    values.streams,
    values.seed,
  ].map(Number) as [number, number, number, number];
  if (![replacements, requestsPerSecond, streams, seed].every((value) => Number.isInteger(value) && value > 0)) {
    console.error("--replacements, --rps, --streams and --seed are whole numbers above 0");
    return 2;
  }
  if (!["both", "port", "parent"].includes(values.way)) {
    console.error(`--way is both, port or parent; found ${values.way}`);
    return 2;
  }
  const ways = (values.way === "both" ? ["port", "parent"] : [values.way]) as Way[];
  if (ways.includes("port") && !(await migrates())) return await again();
  const options = { replacements, requestsPerSecond, streams, seed, say: (line: string) => console.error(line) };
  const rows = [];
  for (const way of ways) rows.push(...(await runHandover({ ...options, way })));
  return await report(rows, values.json);
}

async function migrates(): Promise<boolean> {
  return (await readFile("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").catch(() => "0")).trim() === "1";
}

/** This very run in a network namespace of its own, where the setting may be changed without touching the machine's. */
async function again(): Promise<number> {
  const script = 'ip link set lo up && sysctl -q -w net.ipv4.tcp_migrate_req=1 && exec "$@"';
  const own = [process.execPath, ...process.argv.slice(1)];
  if (process.env.LMSTACK_HANDOVER_NAMESPACE) {
    console.error(
      "net.ipv4.tcp_migrate_req cannot be set here (Linux 5.14 or newer). Use --way parent, which needs no setting.",
    );
    return 1;
  }
  const namespaces = process.getuid?.() === 0 ? ["-n"] : ["-rn"];
  const { exitCode } = await execa("unshare", [...namespaces, "sh", "-c", script, "sh", ...own], {
    stdio: "inherit",
    reject: false,
    env: { LMSTACK_HANDOVER_NAMESPACE: "1" },
  });
  return exitCode ?? 1;
}
