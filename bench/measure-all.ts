/** One run: peers and stand-in are started, each row is measured, and everything is ended again. */

import type { Row } from "./bars.ts";
import { endChild } from "./children.ts";
import { runContest } from "./contest.ts";
import { type Figure, figuresOf } from "./figures.ts";
import { bindSelf, chooseLayout } from "./layout.ts";
import { readMachine, warningOf } from "./machine.ts";
import { fullSizes, type Options, quickSizes, type RowName } from "./options.ts";
import { allPeers } from "./peers/all.ts";
import type { PeerContext, PeerName, RunningPeer } from "./peers/peer.ts";
import type { Report, Section } from "./report/report.ts";
import { type ComparedRow, comparedRow } from "./rows/all.ts";
import { cancelRow, idleRow, type OwnResult, startRow } from "./rows/own.ts";
import { StandIn } from "./stand-in.ts";

type Say = (line: string) => void;

/** From here on the load side, not the peer, may be what is measured. */
const saturated = 90;

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
  bindSelf(layout?.load);

  const sizes = options.quick ? quickSizes : fullSizes;
  const versions: Record<string, string> = {};
  const standIn = await StandIn.start(layout?.backend);
  const context: PeerContext = { backendPort: standIn.port, core: layout?.peer, folder };
  const rows: Row[] = [];
  const figures: Figure[] = [];
  const sections: Section[] = [];

  const compared = options.rows.filter((name) => !(name in ownRows));
  const peers = new Map<PeerName, RunningPeer>();
  for (const peer of allPeers) {
    if (options.quick && peer.name === "litellm") continue;
    versions[peer.name] = await peer.prepare();
    if (compared.length > 0) peers.set(peer.name, await peer.start(context));
  }
  for (const name of compared) {
    const { contest, metrics, drawn, bars } = comparedRow(name, peers, standIn, sizes) as ComparedRow;
    const result = await runContest(contest, options.rounds, say);
    const found = figuresOf(result, metrics);
    rows.push(...bars(result));
    figures.push(...found);
    sections.push({ name, title: contest.title, metrics, drawn });
    for (const { peer, median } of found.filter(({ metric }) => metric === "load side busy")) {
      if (median > saturated && peer !== "direct")
        remark(
          `${contest.title}: the load side was ${median.toFixed(0)} % busy with ${peer}, which may be faster than shown`,
        );
    }
  }
  for (const { process } of peers.values()) if (process !== undefined) await endChild(process);

  for (const name of options.rows) {
    const row = ownRows[name];
    if (row === undefined) continue;
    say(`${name}: measuring`);
    const result = await row.measure(context, standIn, sizes);
    rows.push(...result.rows);
    figures.push(...result.figures);
    const metrics = [...new Map(result.figures.map(({ metric, unit }) => [metric, unit]))];
    sections.push({
      name,
      title: row.title,
      metrics: metrics.map(([label, unit]) => ({ key: label, label, unit, digits: 1 })),
    });
  }
  const words = layout?.words ?? "nothing bound to cores";
  return { findings: { rows, figures, machine, layout: words, versions, rounds: options.rounds, remarks }, sections };
}

interface OwnRow {
  readonly title: string;
  readonly measure: (context: PeerContext, standIn: StandIn, sizes: typeof fullSizes) => Promise<OwnResult>;
}

const ownRows: Partial<Record<RowName, OwnRow>> = {
  idle: { title: "1,000 open idle streams", measure: idleRow },
  cancel: { title: "a client goes away", measure: cancelRow },
  start: { title: "cold start", measure: (context, _standIn, sizes) => startRow(context, sizes) },
};
