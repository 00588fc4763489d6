/** What a turn of a long Codex conversation costs the proxy beyond passing its bytes on, and how that grows with the conversation. */
import { setTimeout } from "node:timers/promises";
import { judge } from "../bars.ts";
import { endChild } from "../children.ts";
import { Conversation } from "../load/conversation.ts";
import { LightClient } from "../load/light-client.ts";
import { postRequest } from "../load/request.ts";
import type { Sizes } from "../options.ts";
import { lmstack, lmstackWith } from "../peers/lmstack.ts";
import type { PeerContext } from "../peers/peer.ts";
import type { StandIn } from "../stand-in.ts";
import { percentile } from "../statistics.ts";
import { threadsCpuMs } from "../usage.ts";
import { figure, type OwnResult } from "./own.ts";

const looksAt = [10, 20, 30] as const;
const turns = 30;
/** Whole conversations before those that count: the code is cold. */
const warmUp = 5;
/** What is done behind an answer (a line in the log, numbers) belongs to its turn. */
const settleMs = 3;

interface Side {
  readonly pid: number;
  readonly client: LightClient;
  readonly model: string;
}

/** CPU milliseconds of one request. */
async function cost({ pid, client, model }: Side, conversation: Conversation): Promise<number> {
  const request = postRequest("/v1/responses", conversation.body(model));
  const before = threadsCpuMs(pid);
  const { status } = await client.send(request);
  if (status !== 200) throw new Error(`a turn was answered with ${status}`);
  await setTimeout(settleMs);
  return threadsCpuMs(pid) - before;
}

/**
 * Two proxies take the same turns one after the other: one translates and switches thinking off, the other passes everything on. CPU time, not time on
 * the clock, so that other work on the machine counts little.
 */
export async function conversationRow(
  context: PeerContext,
  standIn: StandIn,
  { conversations }: Sizes,
): Promise<OwnResult> {
  await standIn.answer({});
  const peers = [await lmstack.start(context), await lmstackWith({ codexTools: "pass" }).start(context)];
  const [translating, passing] = peers.map(({ port, process }, index) => ({
    pid: process?.pid ?? 0,
    client: new LightClient(port),
    model: index === 0 ? "bench" : "bench-client",
  })) as [Side, Side];
  const found = looksAt.map((turn) => ({ turn, bytes: 0, translated: [] as number[], passed: [] as number[] }));
  for (let round = 0; round < warmUp + conversations; round++) {
    const conversation = new Conversation(String(round));
    for (let turn = 1; turn <= turns; turn++) {
      conversation.next();
      const translated = await cost(translating, conversation);
      const passed = await cost(passing, conversation);
      const at = found.find((each) => each.turn === turn);
      if (at === undefined || round < warmUp) continue;
      at.bytes = Buffer.byteLength(conversation.body("bench"));
      at.translated.push(translated);
      at.passed.push(passed);
    }
  }
  for (const { client } of [translating, passing]) client.destroy();
  for (const { process } of peers) if (process !== undefined) await endChild(process);
  const above = found.map(({ translated, passed }) =>
    percentile(
      translated.map((each, index) => each - (passed[index] as number)),
      0.5,
    ),
  ) as [number, number, number];
  const perKb = above.map((ms, index) => ms / (found[index]?.bytes ?? 0));
  return {
    rows: [
      judge(`turn 30 of a Codex conversation, ${kb(found[2])} KB: CPU above passing on`, above[2], "ms", 2, {
        atMost: 2,
      }),
      judge("the same for each KB: turn 30 to turn 10", (perKb[2] as number) / (perKb[0] as number), "x", 2, {
        atMost: 1.2,
      }),
    ],
    figures: found.flatMap(({ turn, translated, passed, ...rest }) => [
      figure("conversation", "lmstack, translating", `CPU of turn ${turn}, ${kb(rest)} KB`, "ms", translated),
      figure("conversation", "lmstack, passing on", `CPU of turn ${turn}, ${kb(rest)} KB`, "ms", passed),
    ]),
  };
}

const kb = (at: { readonly bytes: number } | undefined): number => Math.round((at?.bytes ?? 0) / 1_024);
