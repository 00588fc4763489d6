import { Fault } from "../errors/fault.ts";

/** Whoever sent a request, as far as a key tells. */
export interface Caller {
  /** Id of the key, for log and usage. */
  readonly id: string;
  readonly mayUse: (model: string) => boolean;
  /** Every model is allowed, so that a request need not be read to find the one it names. */
  readonly unrestricted: boolean;
  /** May hold and resume models and read reports. */
  readonly admin: boolean;
}

const everything = { mayUse: () => true, unrestricted: true };

/** Where no key is asked for. */
export const anyone: Caller = { id: "anonymous", ...everything, admin: false };
/** The file permissions of the socket stand for a key. */
export const localAdmin: Caller = { id: "admin-socket", ...everything, admin: true };

/** `model` without `:think` and `:no-think`. */
export function modelFault(caller: Caller, model: string): Fault | undefined {
  if (caller.mayUse(model)) return undefined;
  return new Fault(
    403,
    "model_not_allowed",
    `The key "${caller.id}" may not use the model "${model}". GET /v1/models lists what there is; whoever gave out the key can widen it.`,
  );
}
