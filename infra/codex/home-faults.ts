/** What a user's own `config.toml` holds that keeps every profile from starting (facts: Codex 0.169.0). */
import { parse } from "smol-toml";

/** `amazon-bedrock` is built in too, but a part of it may be set. */
const builtIn = ["openai", "lmstudio", "ollama"];

/** @returns sentences, each with what to do */
export function homeFaults(file: string, text: string, profile: string): string[] {
  let config: Record<string, unknown>;
  try {
    config = parse(text);
  } catch (error) {
    return [`${file} is not valid TOML: ${(error as Error).message.split("\n")[0]}. Next: correct it`];
  }
  const keys = (table: unknown): string[] => (typeof table === "object" && table !== null ? Object.keys(table) : []);
  const faults: string[] = [];
  if (config.profile !== undefined)
    faults.push(
      `${file} says profile = ${JSON.stringify(config.profile)}, which Codex refuses since profiles are files. ` +
        "Next: remove the line and start Codex with --profile",
    );
  if (keys(config.profiles).includes(profile))
    faults.push(
      `${file} has a table [profiles.${profile}], with which Codex refuses the profile file of that name. ` +
        "Next: remove the table, or install with --profile OTHER-NAME",
    );
  for (const id of keys(config.model_providers).filter((name) => builtIn.includes(name)))
    faults.push(
      `${file} has [model_providers.${id}], a name that is built into Codex, so that Codex does not start. Next: rename it`,
    );
  return faults;
}
