/** What is done to one answer of a model on its way to the client, and what is known of it afterwards. */
import { completeChat, completeMessage } from "./answer/complete.ts";
import type { AnswerFilter } from "./answer/filter.ts";
import { type AnswerForm, LeakFilter, withoutLeaks } from "./answer/leak.ts";
import type { AnswerParts } from "./codex/answer/answer.ts";
import { AnswerTranslator } from "./codex/answer/translator.ts";
import type { AnswerWork } from "./relay/work.ts";

export interface AnswerFacts {
  /** Thoughts are cut out of it. */
  readonly cutsThoughts: boolean;
  /** Its client gets what the schema of its dialect has, whatever LM Studio leaves out. */
  readonly completes: boolean;
  /** Present where the request was translated. */
  readonly translation?: Omit<AnswerParts, "pieces"> | undefined;
}

/** Of whole answers, by their form. */
const completions: Partial<Record<AnswerForm, (body: Buffer) => Buffer>> = {
  chat: completeChat,
  messages: completeMessage,
};

export class ModelAnswer {
  readonly #form: AnswerForm;
  readonly #complete: ((body: Buffer) => Buffer) | undefined;
  readonly #cutsThoughts: boolean;
  readonly #filters: LeakFilter[] = [];
  /** Thoughts that were cut out of a whole answer. */
  #leaks = 0;
  readonly translator: AnswerTranslator | undefined;

  constructor(form: AnswerForm, { cutsThoughts, completes, translation }: AnswerFacts) {
    this.#form = form;
    // A completion is a text that the client began itself: nothing in it is known to be a thought.
    this.#cutsThoughts = cutsThoughts && form !== "completions";
    this.#complete = completes ? completions[form] : undefined;
    this.translator = translation && new AnswerTranslator(translation);
  }

  /** Thoughts that were cut. */
  get leaks(): number {
    return this.#filters.reduce((sum, filter) => sum + filter.leaks, this.#leaks);
  }

  get work(): Pick<AnswerWork, "filter" | "transform" | "translator"> {
    const { translator } = this;
    const changes = this.#cutsThoughts || this.#complete !== undefined;
    return {
      translator,
      ...(this.#cutsThoughts && { filter: this.#filter }),
      ...(changes && { transform: this.#transform }),
    };
  }

  readonly #filter = (): AnswerFilter => {
    const filter = new LeakFilter(this.#form);
    this.#filters.push(filter);
    return filter;
  };

  readonly #transform = (whole: Buffer): ReturnType<NonNullable<AnswerWork["transform"]>> => {
    const { body, leaks } = this.#cutsThoughts ? withoutLeaks(this.#form, whole) : { body: whole, leaks: 0 };
    this.#leaks += leaks;
    const headers = leaks === 0 ? [] : ["x-lmstack-leaks", String(leaks)];
    return { body: this.#complete?.(body) ?? body, headers };
  };
}
