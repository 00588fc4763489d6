/** A model changed again and again on a host under load: what its clients noticed. */
import { join } from "node:path";
import { faultsOf, type Reply, wrongIn } from "../chaos/judge.ts";
import { rightAnswer, steadyLoad } from "../chaos/load.ts";
import { look } from "../chaos/look.ts";
import { declare, loadMs, type Place, springTraps, victim } from "../chaos/place.ts";
import { putModel, type Spec, specFor, thinker } from "../e2e/box.ts";
import { mustHold, type Row } from "../e2e/rows.ts";
import { writeScriptModel } from "../lmstudio-sim/gguf/script-model.ts";
import { changedSteps, failedWords, type Outcome, projectRoot } from "../pulumi/stack.ts";
import { type Change, type Declared, type File, files, first, longestContext, mostSlots } from "./changes.ts";

const streams = 4;
/** What a new request may wait on top of the time that the load takes. */
const graceMs = 2000;
/** As the stand-in counts the memory of a GPU. */
const bytesOf = (contextLength: number, parallel: number): number => contextLength * parallel * 131_072;
/** The other model fits and the largest of this one's changes, not two of the smallest. */
const noRoomBytes = bytesOf(32_768, 2) + 1.05 * bytesOf(longestContext, mostSlots);

/** A change that fails in place takes two loads, its own and that of what served before: its stop is told and has no bar. */
const ways = ["beside", "in place", "of a change that failed"] as const;
type Way = (typeof ways)[number];

type Files = Readonly<Record<File, { readonly path: string; readonly sha256: string }>>;

export class SwapRun {
  readonly #place: Place;
  readonly #files: Files;
  readonly #say: (line: string) => void;
  readonly #load: ReturnType<typeof steadyLoad>;
  #now = first;
  readonly #replies: Reply[] = [];
  readonly #longest: Record<Way, number> = { beside: 0, "in place": 0, "of a change that failed": 0 };
  #done = 0;
  #back = 0;

  private constructor(place: Place, own: Files, say: (line: string) => void) {
    this.#place = place;
    this.#files = own;
    this.#say = say;
    this.#load = steadyLoad(
      place,
      Array.from({ length: streams }, () => victim),
    );
  }

  /** The model that is changed does not think by itself, so that a trap can make one of its files think and not the others. */
  static async on(place: Place, say: (line: string) => void): Promise<SwapRun> {
    const own: [string, Files[File]][] = [];
    for (const file of [...files, "thinking"]) {
      const local = join(projectRoot, ".lmstack", "test", `${victim}-${file}.gguf`);
      await writeScriptModel(local, { name: `${victim} ${file}`, thinks: file === "thinking" });
      own.push([file, await putModel(place.box.host, `${victim}-${file}`, local)]);
    }
    await declare(place, specOf(place, Object.fromEntries(own) as Files, first));
    const { exitCode, output } = await place.stack.up();
    if (exitCode !== 0) throw new Error(`the first up failed:\n${output}`);
    return new SwapRun(place, Object.fromEntries(own) as Files, say);
  }

  async change(change: Change): Promise<void> {
    const { stack, box } = this.#place;
    const { to, room, fails, words } = change;
    await springTraps(box.host, {
      ...(room ? {} : { gpuMemoryBytes: noRoomBytes }),
      ...(to.file === "thinking" ? { thinksAnyway: true } : {}),
    });
    await declare(this.#place, specOf(this.#place, this.#files, to));
    const outcome = await stack.up();
    const faults = fails === null ? wrongIfFailed(outcome) : wrongIfPassed(outcome, fails);
    if (fails === null && outcome.exitCode === 0) this.#now = to;
    else {
      await springTraps(box.host, room ? {} : { gpuMemoryBytes: noRoomBytes });
      await declare(this.#place, specOf(this.#place, this.#files, this.#now));
    }
    faults.push(...(await this.#settled()));
    // Those that waited belong to this change.
    await this.#load.unanswered(20_000);
    const replies = this.#load.take();
    this.#replies.push(...replies);
    const way = fails !== null ? "of a change that failed" : room ? "beside" : "in place";
    const longest = Math.max(0, ...replies.map(({ began, ended }) => ended - began));
    this.#longest[way] = Math.max(this.#longest[way], longest);
    this.#say(
      `${words}: ${faults.join("; ") || (fails === null ? "done" : "back on the old one")}; longest answer ${longest} ms`,
    );
    if (faults.length > 0 || longest > loadMs + 2 * graceMs) this.#say(await this.#journal());
    if (faults.length > 0) return;
    if (fails === null) this.#done += 1;
    else this.#back += 1;
  }

  async rows(planned: readonly Change[]): Promise<Row[]> {
    const second = changedSteps(await this.#place.stack.up().then(() => this.#place.stack.up()));
    const unanswered = await this.#load.unanswered(20_000);
    await this.#load.stop();
    this.#replies.push(...this.#load.take());
    const lost = this.#replies.flatMap((reply) => {
      const why = reply.end === "complete" ? wrongIn(reply, rightAnswer, false) : `${reply.status} ${reply.words}`;
      return why === null ? [] : [why];
    });
    const usual = median(this.#replies.map(({ began, ended }) => ended - began));
    const failing = planned.filter(({ fails }) => fails !== null).length;
    const good = planned.length - failing;
    const stop = (way: Way): Row => {
      const ms = Math.max(0, Math.round(this.#longest[way] - usual));
      const bar = loadMs + graceMs;
      const failed = way === "of a change that failed";
      const name = `longest stop of a request, ${way}`;
      return { name, value: ms, unit: "ms", bar: failed ? "told" : `<= ${bar} ms`, ok: failed || ms <= bar };
    };
    return [
      { name: "changes done", value: this.#done, unit: "", bar: `${good} of ${good}`, ok: this.#done === good },
      {
        name: "changes that failed: back by itself, and up says why",
        value: this.#back,
        unit: "",
        bar: `${failing} of ${failing}`,
        ok: this.#back === failing,
      },
      {
        name: `requests of ${streams} streams that ended`,
        value: this.#replies.length,
        unit: "",
        bar: "> 0",
        ok: this.#replies.length > 0,
      },
      {
        name: "requests lost",
        value: [...unanswered, ...new Set(lost)].join("; ") || 0,
        unit: "",
        bar: "0",
        ok: lost.length + unanswered.length === 0,
      },
      ...ways.map(stop),
      mustHold(
        "the second up at the end is empty",
        second.length === 0,
        second.map(({ op, name }) => `${op} ${name}`).join(", ") || "holds",
      ),
    ];
  }

  async #journal(): Promise<string> {
    const { stdout } = await this.#place.box.host.exec("tail -n 12 ~/.lmstack/state/journal.jsonl", { reject: false });
    return `the supervisor's journal:\n${stdout}`;
  }

  /** What is not as declared when it should have come to rest. */
  async #settled(): Promise<string[]> {
    const deadline = performance.now() + 60_000;
    const models = [`${thinker}@32768`, `${victim}@${this.#now.contextLength}`];
    for (;;) {
      const faults = faultsOf(await look(this.#place, false), { models, quarantined: null });
      if (faults.length === 0 || performance.now() > deadline) return faults;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#load.stop();
  }
}

function specOf({ box }: Place, own: Files, { file, contextLength, parallel }: Declared): Spec {
  return specFor(box, (spec) => {
    for (const model of spec.models) {
      if (model.id !== victim) continue;
      model.source.path = own[file].path;
      model.sha256 = own[file].sha256;
      model.load = { contextLength, parallel };
    }
  });
}

const wrongIfFailed = (outcome: Outcome): string[] =>
  outcome.exitCode === 0 ? [] : [`up failed: ${failedWords(outcome)}`];

function wrongIfPassed(outcome: Outcome, reason: RegExp): string[] {
  if (outcome.exitCode === 0) return ["up succeeded"];
  return reason.test(outcome.output) ? [] : [`up does not say why: ${failedWords(outcome)}`];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
