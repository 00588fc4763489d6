/** Whether a request's model may think: the host's policy, unless the request itself says otherwise by header or by the model's alias. */
import type { IncomingMessage } from "node:http";
import { aliasEndings } from "../../infra/spec/model-names.ts";
import { Fault } from "../errors/fault.ts";
import { besideFault } from "../errors/request-faults.ts";
import { type Thinking, thinkingFor } from "./policy.ts";

export interface Wish {
  /** As LM Studio knows it, without an alias' ending. */
  readonly model: string | undefined;
  readonly thinking: Thinking;
  /** The client named the model by an alias, which LM Studio does not know. */
  readonly aliased: boolean;
}

export const thinkingHeader = "x-lmstack-thinking";
/** Names under which a model is listed besides its own. */
export const aliasesOf = (model: string): string[] => Object.keys(aliasEndings).map((ending) => model + ending);

type Policies = Parameters<typeof thinkingFor>[0];

/** `header` comes first, then the alias, then the policy. Throws a fault for a header that says neither `on` nor `off`, and for a name that is no client's. */
export function wishOf(policies: Policies, named: string | undefined, header: string | undefined): Wish {
  const { model, thinking } = resolved(policies, named);
  const fault = besideFault(model);
  if (fault !== undefined) throw fault;
  const wished = header === undefined ? thinking : headerValue(header);
  return { model, thinking: wished ?? thinkingFor(policies, model), aliased: model !== named };
}

function resolved(
  policies: Policies,
  named: string | undefined,
): { model: string | undefined; thinking?: "on" | "off" } {
  // A model may really be called so: then it is no alias.
  if (named === undefined || Object.hasOwn(policies, named)) return { model: named };
  for (const [ending, thinking] of Object.entries(aliasEndings)) {
    if (named.endsWith(ending) && named.length > ending.length)
      return { model: named.slice(0, -ending.length), thinking };
  }
  return { model: named };
}

function headerValue(header: string): "on" | "off" {
  const value = header.trim().toLowerCase();
  if (value === "on" || value === "off") return value;
  throw new Fault(
    400,
    "invalid_request",
    `The header ${thinkingHeader} says ${JSON.stringify(header.slice(0, 40))}. It takes "on" or "off".`,
  );
}

export function switchOf(request: IncomingMessage): string | undefined {
  const value = request.headers[thinkingHeader];
  return Array.isArray(value) ? value[0] : value;
}
