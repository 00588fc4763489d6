/** One fault after the other on one host under load, each judged before the next one comes. */
import { mustHold, type Row } from "../e2e/rows.ts";
import { changedSteps, failedWords } from "../pulumi/stack.ts";
import { everything, faultsOf, wrongIn } from "./judge.ts";
import { type Ending, type Kind, type KindName, withinSeconds } from "./kinds.ts";
import { rightAnswer, type SteadyLoad } from "./load.ts";
import { look } from "./look.ts";
import { changedSpec, declare, loadMs, models, type Place, victim } from "./place.ts";
import type { Planned } from "./sequence.ts";
import { needsChange, repairs, strikes } from "./strikes.ts";

type NamedKind = Kind & { readonly name: KindName };

export interface ChaosOptions {
  readonly place: Place;
  readonly load: SteadyLoad;
  /** Runs `up` twice after each fault: the second has to be empty. */
  readonly ups: boolean;
  readonly say: (line: string) => void;
}

const quarantinedBy: Readonly<Partial<Record<Ending, string>>> = {
  quarantined: victim,
  "all quarantined": everything,
};

/** Of all models together; a swap while the daemon comes back may load one twice. */
export const allLoadsSeconds = (models.length * loadMs) / 1000;
const limitSeconds = withinSeconds + allLoadsSeconds;
const otherContexts = [32768, 16384];

export class Chaos {
  readonly #options: ChaosOptions;
  #contextLength = 32768;
  #answered = 0;

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  /** Requests that have ended so far. */
  get answered(): number {
    return this.#answered;
  }

  async survive({ kind, moment }: Planned<NamedKind>): Promise<Row> {
    const { place, say, ups } = this.#options;
    const faults: string[] = [];
    if (needsChange.has(kind.name)) await this.#change();
    say(`${kind.name}: ${kind.happens}`);
    await strikes[kind.name]({ place, moment }).catch((error: Error) => faults.push(error.message));
    const struck = performance.now();
    if (kind.ending === "next up") faults.push(...(await this.#up("the next up")));
    const quarantined = quarantinedBy[kind.ending] ?? null;
    const seconds = await this.#until(quarantined, struck, faults);
    await repairs[kind.name]?.({ place, moment });
    if (ups) {
      if (kind.ending !== "next up") faults.push(...(await this.#up("the first up after")));
      faults.push(...(await this.#up("the second up after", true)));
      await this.#until(null, performance.now(), faults);
    }
    faults.push(...(await this.#replies(kind, ups || quarantined === null)));
    say(`${kind.name}: ${faults.length === 0 ? `${kind.ending} after ${seconds.toFixed(1)} s` : faults.join("; ")}`);
    return {
      name: `${kind.name}: ${kind.ending}`,
      value: faults.length === 0 ? Number(seconds.toFixed(1)) : faults.join("; "),
      unit: faults.length === 0 ? "s" : "",
      bar: `<= ${limitSeconds} s`,
      ok: faults.length === 0,
    };
  }

  /** A person's own `up` twice, the second empty. */
  async settle(): Promise<Row> {
    const faults = [...(await this.#up("an up")), ...(await this.#up("the second up", true))];
    await this.#until(null, performance.now(), faults);
    return mustHold("up at the end, and a second that is empty", faults.length === 0, faults.join("; ") || "holds");
  }

  async #change(): Promise<void> {
    const { place } = this.#options;
    this.#contextLength = otherContexts.find((length) => length !== this.#contextLength) as number;
    await declare(place, changedSpec(place.box, this.#contextLength));
  }

  async #up(what: string, empty = false): Promise<string[]> {
    const outcome = await this.#options.place.stack.up();
    if (outcome.exitCode !== 0) return [`${what} failed: ${failedWords(outcome)}`];
    const changes = changedSteps(outcome).map(({ op, name }) => `${op} ${name}`);
    return empty && changes.length > 0 ? [`${what} is not empty: ${changes.join(", ")}`] : [];
  }

  /** Seconds until all is as it has to be; what was still wrong when the time was over goes to `faults`. */
  async #until(quarantined: string | null, since: number, faults: string[]): Promise<number> {
    const declared = models.map((model) => `${model}@${model === victim ? this.#contextLength : 32768}`);
    let told = performance.now();
    for (;;) {
      // The questions take time and wait where a model is missing: they come last.
      const without = faultsOf(await look(this.#options.place, false), { models: declared, quarantined });
      const found =
        without.length > 0
          ? without
          : faultsOf(await look(this.#options.place, true), { models: declared, quarantined });
      const seconds = (performance.now() - since) / 1000;
      if (found.length === 0) return seconds;
      if (seconds > limitSeconds) {
        faults.push(...found);
        return seconds;
      }
      if (performance.now() - told > 20_000) {
        told = performance.now();
        this.#options.say(`after ${seconds.toFixed(0)} s: ${found.join("; ")}`);
      }
    }
  }

  async #replies({ breaks }: Kind, all: boolean): Promise<string[]> {
    const { load } = this.#options;
    const unanswered = all ? await load.unanswered(20_000) : [];
    const replies = load.take();
    this.#answered += replies.length;
    const wrong = replies.flatMap((reply) => {
      const why = wrongIn(reply, rightAnswer, breaks);
      return why === null ? [] : [`${reply.model}: ${why}`];
    });
    return [...unanswered.map((model) => `a request for ${model} has no end`), ...new Set(wrong)];
  }
}
