/** The line of a configuration by which it is known again: HAProxy tells it of what runs, and an edit by hand breaks it. Pure. */
import { shortHash } from "../../spec/stable-json.ts";

const line = /^ {2}description ([0-9a-f]{12})\.(\S+)\n/m;

/** @param mark another one makes another text of the same configuration */
export const sealed = (configuration: string, mark: string): string =>
  configuration.replace(/^global\n/m, `global\n  description ${shortHash(configuration)}.${mark}\n`);

/** Null where nothing lies. */
export function sealOf(text: string): { readonly mark: string; readonly intact: boolean } | null {
  if (text.trim() === "") return null;
  const [, hash, mark = ""] = line.exec(text) ?? [];
  return { mark, intact: hash === shortHash(text.replace(line, "")) };
}
