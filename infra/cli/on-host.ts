/** A shell script on a stack's host, through its one ssh configuration, as the owner of LM Studio. */
import { execa } from "execa";
import { type Account, asOwner } from "../host/shell.ts";
import { alias } from "../host/ssh-config.ts";
import { stackFolder } from "../host/survey.ts";
import { type HostSpec, isRemote } from "../spec/host-spec.ts";

/** Program and arguments. The configuration has to be written already. */
export function onHost(spec: Account, stack: string, script: string): [program: string, args: string[]] {
  const words = asOwner(spec, script);
  return isRemote(spec.connection)
    ? ["ssh", ["-F", `${stackFolder(stack)}/ssh_config`, alias, words]]
    : ["sh", ["-c", words]];
}

/** One verb of hostctl that only looks. @returns what it observed, or why it could not */
export async function askHostctl<T>(
  spec: HostSpec,
  stack: string,
  verb: string,
  document: object,
): Promise<{ readonly observed: T } | { readonly fault: string }> {
  const call = `cd; exec "$HOME/.lmstack/current/node" "$HOME/.lmstack/current/hostctl.mjs" ${verb}`;
  const [program, args] = onHost(spec, stack, call);
  const { stdout, stderr } = await execa(program, args, {
    input: JSON.stringify(document),
    reject: false,
    timeout: 60_000,
  });
  try {
    const result = JSON.parse(stdout ?? "") as { ok: boolean; observed?: T; error?: { message: string } };
    return result.ok && result.observed !== undefined
      ? { observed: result.observed }
      : { fault: result.error?.message ?? "no answer" };
  } catch {
    return { fault: stderr?.trim().split("\n").at(-1) || "no answer" };
  }
}
