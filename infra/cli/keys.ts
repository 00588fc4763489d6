/**
 * `lmstack keys`: who may use a stack's endpoint. A key is a secret and an entry in the stack's file; the secret comes first and goes last, so that
 * a stack whose command was cut short is still one that `pulumi up` takes.
 */
import { CliFault } from "./fault.ts";
import {
  entryFor,
  hasSecret,
  type Listed,
  listed,
  newKey,
  secretName,
  type Wishes,
  withKey,
  withoutKey,
} from "./keys-plan.ts";
import { askPulumi, projectRoot } from "./pulumi.ts";
import { readStack, stackOf, writeStack } from "./stack-file.ts";

export interface KeysOptions {
  readonly stack?: string;
  readonly json?: boolean;
}

/** Prints the key on stdout, this once, and everything else on stderr. */
export async function add(id: string, options: KeysOptions & Wishes, folder: string = projectRoot): Promise<void> {
  const file = await stackOf(options.stack, folder);
  const { stack, name } = file;
  const entry = entryFor(id, options, new Date());
  const before = await readStack(file);
  withKey(before, name, entry);
  if (hasSecret(before, name, id))
    throw new CliFault(
      `${name} has the secret ${secretName(id)} already, without a key of that name: set by hand, or left by an \`add\` that was cut short. ` +
        `Next: \`lmstack keys revoke ${id}\` takes it away, or name ${id} in proxy.keys to use it`,
    );
  const key = newKey();
  await askPulumi(["config", "set", "--secret", secretName(id)], stack, { folder, input: key });
  try {
    // Read again: Pulumi has just written the secret into it.
    await writeStack(file, withKey(await readStack(file), name, entry));
  } catch (cause) {
    throw new CliFault(
      `the secret ${secretName(id)} is stored, but the key could not be written into ${name} (${(cause as Error).message}), so nothing is served with it. ` +
        `Next: see that ${name} can be written, run \`lmstack keys revoke ${id}\`, and add it again`,
      { cause },
    );
  }
  console.log(options.json ? JSON.stringify({ ...entry, key, stack }) : key);
  console.error(
    `${id} is in ${name}, with its value encrypted; it is printed only now. Next: npx lmstack up --stack ${stack}`,
  );
}

export async function list(options: KeysOptions, folder: string = projectRoot): Promise<void> {
  const file = await stackOf(options.stack, folder);
  const { stack, name } = file;
  const keys = listed(await readStack(file), name);
  if (options.json) console.log(JSON.stringify(keys));
  else if (keys.length === 0) console.error(`no keys. Next: lmstack keys add NAME --stack ${stack}`);
  else for (const line of table(keys, new Date())) console.log(line);
}

/** Safe to run again until both are gone. */
export async function revoke(id: string, options: KeysOptions, folder: string = projectRoot): Promise<void> {
  const file = await stackOf(options.stack, folder);
  const { stack, name } = file;
  const before = await readStack(file);
  const { text, found, refusal } = withoutKey(before, name, id);
  const secret = hasSecret(before, name, id);
  if (!found && !secret) {
    const known = listed(before, name).map((key) => key.id);
    throw new CliFault(`${name} has no key ${id}; it has ${known.join(", ") || "none"}`);
  }
  if (found) await writeStack(file, text);
  if (secret) {
    await askPulumi(["config", "rm", secretName(id)], stack, { folder }).catch((cause: Error) => {
      throw new CliFault(
        `${id} is no longer named in ${name}, but its secret is still stored: ${cause.message}. Next: run this again, then npx lmstack up --stack ${stack}`,
        { cause },
      );
    });
  }
  if (options.json) console.log(JSON.stringify({ id, stack }));
  console.error(`${id} is gone from ${name}; a host that knows it lets it in until: npx lmstack up --stack ${stack}`);
  if (refusal !== undefined) console.error(`it was the last one, so that will be refused. ${refusal}`);
}

function table(keys: readonly Listed[], now: Date): string[] {
  const rows = keys.map(({ id, models, requestsPerMinute, expires, admin, secret }) => [
    id,
    models?.join(",") ?? "*",
    requestsPerMinute === undefined ? "-" : String(requestsPerMinute),
    expires ?? "never",
    [
      ...(admin ? ["admin"] : []),
      ...(expires !== undefined && Date.parse(expires) <= now.getTime() ? ["expired"] : []),
      ...(secret ? [] : [`no value: pulumi config set --secret ${secretName(id)}`]),
    ].join(", "),
  ]);
  const all = [["NAME", "MODELS", "PER MINUTE", "EXPIRES", ""], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
