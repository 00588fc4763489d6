/** Looks for a planted secret where it must never be: in plain, URL-encoded, and base64 at any alignment. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

export function formsOf(secret: string): readonly string[] {
  // A secret within a longer text begins at any of three places of a base64 group; what depends on its neighbours is cut off.
  const base64 = [0, 1, 2].map((before) => {
    const text = Buffer.from("_".repeat(before) + secret).toString("base64");
    return text.slice(Math.ceil((before * 4) / 3), Math.floor(((before + secret.length) * 4) / 3) - 1);
  });
  return [...new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), ...base64])];
}

export const formsFoundIn = (text: string, forms: readonly string[]): readonly string[] =>
  forms.filter((form) => text.includes(form));

/**
 * Reads the arguments of every process of this machine, those in test hosts and their containers included, for as long as `work` takes.
 * Returns command lines that held a form of the secret, with the secret taken out.
 */
export async function argumentsDuring<T>(work: Promise<T>, forms: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  let over = false;
  const ended = work.finally(() => {
    over = true;
  });
  while (!over) {
    for (const pid of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
      const line = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
      for (const form of formsFoundIn(line, forms)) found.add(line.replaceAll(form, "[secret]"));
    }
    // Often enough for any command that lasts, seldom enough not to slow down what it watches.
    await delay(100);
  }
  await ended;
  return [...found];
}
