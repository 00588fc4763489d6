/** A client can name any model. Whatever is counted per model is counted under a bounded number of names. */

/** More models than a host can hold files of, few enough to keep for ever. */
const mostModels = 200;

/** Of requests that name no model. */
export const noModel = "none";
/** Of all models that are not known. */
export const otherModel = "other";

export class ModelLabels {
  readonly #knows: (model: string) => boolean;
  readonly #seen = new Set<string>();

  /** `knows`: whether a model is declared or loaded. A name once seen stays, so that its counters do. */
  constructor(knows: (model: string) => boolean) {
    this.#knows = knows;
  }

  of(model: string | undefined): string {
    if (model === undefined) return noModel;
    if (this.#seen.has(model)) return model;
    if (this.#seen.size >= mostModels || !this.#knows(model)) return otherModel;
    this.#seen.add(model);
    return model;
  }
}
