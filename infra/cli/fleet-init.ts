/** `lmstack fleet init`: the first inventory, out of the stack files that are there. */
import { readdir, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { readFleet } from "../fleet/compose.ts";
import { type DeclaredStack, draftFleet } from "../fleet/draft.ts";
import { CliFault } from "./fault.ts";
import type { FleetOptions } from "./fleet.ts";
import { projectRoot } from "./pulumi.ts";
import { readStack, stackFile } from "./stack-file.ts";
import { documentOf, specOf, specPath, yamlOf } from "./stack-yaml.ts";

/** @param stacks those whose file declares a host, when empty */
export async function init(
  stacks: readonly string[],
  { file, json }: FleetOptions,
  folder: string = projectRoot,
): Promise<void> {
  const found = stacks.length > 0 ? stacks : await stacksOf(folder);
  const declared = await Promise.all(found.map((stack) => declaredBy(stack, folder)));
  if (declared.length === 0)
    throw new CliFault(
      "no Pulumi.STACK.yaml here declares a host. Next: set up the first one (README, 'A real host in five steps')",
    );
  const text = draftFleet(declared);
  readFleet(text, file);
  await writeFile(resolve(folder, file), text, { flag: "wx" }).catch((cause: NodeJS.ErrnoException) => {
    const found = cause.code === "EEXIST" ? "it is there, and was not changed" : `it cannot be written (${cause.code})`;
    throw new CliFault(`${file}: ${found}. Next: add hosts to it by hand, or name another with --file`, { cause });
  });
  if (json) console.log(JSON.stringify({ ok: true, file, hosts: declared.map(({ stack }) => stack) }));
  console.error(
    `${file} has ${declared.length} ${declared.length === 1 ? "host" : "hosts"}. Next: add more of them, then \`npx lmstack fleet sync\``,
  );
}

async function stacksOf(folder: string): Promise<string[]> {
  const stacks = (await readdir(folder)).flatMap((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? []).sort();
  const texts = await Promise.all(stacks.map((stack) => readStack(stackFile(stack, folder))));
  return stacks.filter((stack, index) => yamlOf(texts[index] as string, `Pulumi.${stack}.yaml`).hasIn(specPath));
}

async function declaredBy(stack: string, folder: string): Promise<DeclaredStack> {
  const file = stackFile(stack, folder);
  return { stack, declared: specOf(documentOf(await readStack(file), file.name)) };
}
