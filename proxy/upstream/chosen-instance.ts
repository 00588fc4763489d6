import type { IncomingMessage } from "node:http";
import { instanceNameFilter } from "../answer/instance-name.ts";
import { type Instances, pinnedInstance } from "./instances.ts";

/** The instance that works on one request: chosen as late as can be, since while a request waits its model may move to another. */
export class ChosenInstance {
  readonly #instances: Instances;
  /** This one, whoever answers for the model. */
  readonly pinned: string | undefined;
  #chosen: { readonly name: string; readonly end: () => void } | undefined;

  /** Only an administrator may ask for an instance. */
  constructor(instances: Instances, request: IncomingMessage, admin: boolean) {
    this.#instances = instances;
    this.pinned = admin ? pinnedInstance(request) : undefined;
  }

  /** Its name in LM Studio. Undefined for a request that names no model. */
  choose(model: string | undefined): string | undefined {
    if (model === undefined) return undefined;
    const name = this.pinned ?? this.#instances.of(model);
    if (name === this.#chosen?.name) return name;
    this.end();
    this.#chosen = { name, end: this.#instances.begin(name) };
    return name;
  }

  /** LM Studio has nothing more to do for the request. */
  end(): void {
    this.#chosen?.end();
    this.#chosen = undefined;
  }

  readonly rename = () => (this.#chosen === undefined ? undefined : instanceNameFilter(this.#chosen.name));
}
