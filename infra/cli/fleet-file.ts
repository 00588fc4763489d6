/** The inventory as the verbs of `lmstack fleet` find it. */
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { type Inventory, readFleet } from "../fleet/compose.ts";
import { CliFault } from "./fault.ts";

/** @returns `inventory` is the file's name, as it is told to people. @throws CliFault, Faults */
export async function inventoryAt(path: string, folder: string): Promise<Inventory & { readonly inventory: string }> {
  const inventory = basename(path);
  const text = await readFile(resolve(folder, path), "utf8").catch((cause: NodeJS.ErrnoException) => {
    const next = "write it (README, 'A fleet'), make it with `npx lmstack fleet init`, or name it with --file";
    throw new CliFault(`${path} cannot be read (${cause.code}). Next: ${next}`, { cause });
  });
  return { ...readFleet(text, inventory), inventory };
}
