/** One run: the stand-ins and peers are started, each row is measured, and everything is ended again. */
import type { Row } from "./bars.ts";
import { endChild } from "./children.ts";
import { runContest } from "./contest.ts";
import { type Figure, figuresOf } from "./figures.ts";
import { bind, chooseLayout } from "./layout.ts";
import type { LoadKind } from "./load/client.ts";
import { closedLoop } from "./load/closed-loop.ts";
import { chatBody, postRequest } from "./load/request.ts";
import { readMachine, warningOf } from "./machine.ts";
import { fullSizes, type Options, quickSizes, type RowName, type Sizes } from "./options.ts";
import { allPeers } from "./peers/all.ts";
import type { Peer, PeerContext, PeerName, RunningPeer } from "./peers/peer.ts";
import type { Report, Section } from "./report/report.ts";
import { type ComparedName, comparedNames, comparedRows, type Stage } from "./rows/compared.ts";
import { conversationRow } from "./rows/conversation.ts";
import { cancelRow, idleRow, type OwnResult, startRow } from "./rows/own.ts";
import { StandIn } from "./stand-in.ts";

type Say = (line: string) => void;

/** From here on the load side, not the peer, may be what is measured. */
const saturatedPercent = 90;
/** Those of a quick run. */
const quickPeers: readonly PeerName[] = ["direct", "nginx", "lmstack"];
/** Those that are fast enough for the kind of load to matter. */
const fastPeers: readonly PeerName[] = [...quickPeers, "haproxy"];

export async function measureAll(options: Options, folder: string, say: Say): Promise<Report> {
  const machine = readMachine();
  const remarks: string[] = [];
  const remark = (words: string) => {
    remarks.push(words);
    say(words);
  };
  const warning = warningOf(machine);
  if (warning !== undefined) remark(warning);
  const layout = chooseLayout();
  if (layout === undefined) remark("nothing is bound to cores: that needs two cores and taskset (util-linux)");

  const peers = allPeers.filter(({ name }) => !options.quick || quickPeers.includes(name));
  const versions: Record<string, string> = {};
  for (const peer of peers) versions[peer.name] = await peer.prepare();
  bind(layout?.load, process.pid);

  const sizes = options.quick ? quickSizes : fullSizes;
  const findings = { rows: [] as Row[], figures: [] as Figure[] };
  const sections: Section[] = [];
  const contextOf = (standIn: StandIn): PeerContext => ({ backendPort: standIn.port, core: layout?.peer, folder });

  const compare = async (names: readonly ComparedName[], kind: LoadKind, taking: readonly Peer[]) => {
    if (names.length === 0) return;
    const standIn = await StandIn.start(kind, layout?.backend);
    const stage: Stage = { standIn, peers: await startAll(taking, contextOf(standIn)) };
    await warmUp(stage);
    for (const row of names.flatMap((name) => comparedRows(name, stage, sizes))) {
      const result = await runContest(row.contest, options.rounds, say);
      const figures = figuresOf(result, row.metrics);
      findings.rows.push(...row.bars(result));
      findings.figures.push(...figures);
      sections.push({ name: result.name, title: result.title, metrics: row.metrics, drawn: row.drawn });
      for (const words of busyRemarks(result.title, figures)) remark(words);
    }
    for (const { process } of stage.peers.values()) if (process !== undefined) await endChild(process);
    await standIn.end();
  };
  const wanted = comparedNames.filter((name) => options.rows.includes(name));
  await compare(
    wanted.filter((name) => name !== "limits"),
    "ordinary",
    peers,
  );
  await compare(
    wanted.filter((name) => name === "limits"),
    "light",
    peers.filter(({ name }) => fastPeers.includes(name)),
  );

  for (const [name, row] of Object.entries(ownRows)) {
    if (!options.rows.includes(name as RowName)) continue;
    say(`${name}: measuring`);
    const standIn = await StandIn.start("light", layout?.backend);
    const result = await row.measure(contextOf(standIn), standIn, sizes, options.rounds);
    await standIn.end();
    findings.rows.push(...result.rows);
    findings.figures.push(...result.figures);
    sections.push({ name, title: row.title, metrics: metricsIn(result.figures) });
  }
  const words = layout?.words ?? "nothing is bound to cores";
  return { findings: { ...findings, machine, layout: words, versions, rounds: options.rounds, remarks }, sections };
}

async function startAll(peers: readonly Peer[], context: PeerContext): Promise<Map<PeerName, RunningPeer>> {
  const running = new Map<PeerName, RunningPeer>();
  for (const peer of peers) running.set(peer.name, await peer.start(context));
  return running;
}

/** So that each row finds the same peers, whichever rows come before it: what cold code costs is the row `start`'s to say. */
async function warmUp({ standIn, peers }: Stage): Promise<void> {
  await standIn.answer({});
  const request = postRequest("/v1/chat/completions", chatBody("bench", false));
  for (const peer of allPeers) {
    const port = peers.get(peer.name)?.port;
    const requests = peer.slow ? 50 : 2_000;
    if (port !== undefined) await closedLoop({ kind: standIn.kind, port, connections: 8, requests, request });
  }
}

function busyRemarks(title: string, figures: readonly Figure[]): string[] {
  return figures
    .filter(({ metric, peer, median }) => metric === "load side busy" && peer !== "direct" && median > saturatedPercent)
    .map(
      ({ peer, median }) =>
        `${title}: the load side is ${median.toFixed(0)} % busy with ${peer}, and so part of its limit`,
    );
}

function metricsIn(figures: readonly Figure[]) {
  const units = new Map(figures.map(({ metric, unit }) => [metric, unit]));
  return [...units].map(([label, unit]) => ({ key: label, label, unit, digits: 1 }));
}

interface OwnRow {
  readonly title: string;
  readonly measure: (context: PeerContext, standIn: StandIn, sizes: Sizes, rounds: number) => Promise<OwnResult>;
}

const ownRows: Readonly<Record<string, OwnRow>> = {
  idle: { title: "1,000 open idle streams", measure: idleRow },
  cancel: { title: "a client goes away", measure: cancelRow },
  start: { title: "cold start", measure: (context, _standIn, sizes) => startRow(context, sizes) },
  conversation: { title: "a Codex conversation of 30 turns", measure: conversationRow },
};
