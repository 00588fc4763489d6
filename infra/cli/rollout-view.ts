/** A rollout as it goes on: lines for a log, or a JSON document a line for programs. */
import { eventLine, type RolloutEvent } from "../fleet/rollout/events.ts";

/** Words of one host, or of one watch, in a log. */
const againMs = 15_000;

export class RolloutView {
  readonly #json: boolean;
  readonly #said = new Map<string, number>();

  constructor(json: boolean) {
    this.#json = json;
  }

  show(event: RolloutEvent): void {
    if (this.#json) console.log(JSON.stringify(event));
    else if (this.#isDue(event)) console.log(eventLine(event));
  }

  #isDue(event: RolloutEvent): boolean {
    if (event.event !== "words" && !(event.event === "bake" && event.secondsLeft > 0)) return true;
    const key = event.event === "words" ? event.host : event.event;
    const due = Date.parse(event.at) - (this.#said.get(key) ?? 0) >= againMs;
    if (due) this.#said.set(key, Date.parse(event.at));
    return due;
  }
}
