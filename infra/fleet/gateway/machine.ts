/** The gateway's machine, by the one way there is to it. Started by Pulumi as a program: `put` or `remove`, the document on stdin. */
import { mkdirSync, readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { execa } from "execa";
import { z } from "zod";
import { onHost } from "../../cli/on-host.ts";
import { shellWord } from "../../host/shell.ts";
import { sshFault } from "../../host/ssh-faults.ts";
import { writeSshFiles } from "../../host/ssh-files.ts";
import { stackFolder } from "../../host/survey.ts";
import { Faults } from "../../spec/faults.ts";
import { isRemote, sections } from "../../spec/host-spec.ts";
import type { GatewaySpec } from "../inventory.ts";

export type Place = Pick<GatewaySpec, "connection" | "stack">;
const document = z.object({ connection: sections.connection, stack: z.string(), configuration: z.string() });
export type GatewayDocument = z.output<typeof document>;

const patienceMs = 60_000;

/**
 * @param call a function of `machine.sh`
 * @throws Faults when ssh cannot get there, Error with the machine's own words
 */
export async function onMachine({ connection, stack }: Place, call: string, input = ""): Promise<string> {
  const script = `STACK=${shellWord(stack)}\n${readFileSync(new URL("machine.sh", import.meta.url), "utf8")}\n${call}\n`;
  const [program, args] = onHost({ connection, lmstudio: {} }, stack, script);
  if (isRemote(connection)) {
    mkdirSync(stackFolder(stack), { recursive: true, mode: 0o700 });
    await writeSshFiles(connection, stackFolder(stack));
  }
  const { stdout, stderr, exitCode, timedOut } = await execa(program, args, {
    input,
    reject: false,
    // The text of a configuration counts to its last byte.
    stripFinalNewline: false,
    timeout: patienceMs,
  });
  if (exitCode === 0) return stdout;
  if (isRemote(connection) && exitCode === 255)
    throw new Faults("the gateway's machine:", [sshFault(stderr, connection)]);
  throw new Error(
    `gateway ${stack}: ${timedOut ? `no answer in ${patienceMs / 1000} s` : stderr.trim() || `exit ${exitCode}`}`,
  );
}

if (import.meta.main) {
  const { configuration, ...place } = document.parse(JSON.parse(await text(process.stdin)));
  const [verb = ""] = process.argv.slice(2);
  try {
    process.stderr.write(await onMachine(place, verb, configuration));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
