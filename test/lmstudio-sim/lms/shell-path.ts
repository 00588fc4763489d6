/** `lms bootstrap`: puts `~/.lmstudio/bin` on the PATH of the shells that have a start file. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Fault, say } from "./console.ts";

export function addToPath(home: string): void {
  const files = [".bashrc", ".zshrc", ".profile", ".bash_profile"]
    .map((name) => join(homedir(), name))
    .filter((file) => existsSync(file));
  if (files.length === 0) throw new Fault("No shell configuration file was found.");
  for (const file of files) {
    if (readFileSync(file, "utf8").includes("LM Studio CLI")) continue;
    appendFileSync(
      file,
      `\n# Added by LM Studio CLI (lms)\nexport PATH="$PATH:${join(home, "bin")}"\n# End of LM Studio CLI section\n`,
    );
  }
  say("lms has been added to your PATH.");
}
