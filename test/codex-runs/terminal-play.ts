/** What somebody does in the terminal interface: a turn, one that is cancelled with Esc, another turn, and out. */
import type { Ending } from "./codex.ts";
import type { Place } from "./place.ts";
import { Terminal } from "./terminal.ts";

export async function playTerminal(place: Place, seconds: number): Promise<readonly Ending[]> {
  await using terminal = await Terminal.open(place);
  const cancels = () => place.sim.journal().filter(({ event }) => event === "cancel").length;
  let log = "";
  try {
    await terminal.until("a prompt", (screen) => screen.includes("›"), 30);
    await terminal.enter("the first turn");
    log += await terminal.until("its answer", (screen) => screen.includes("Done with the first turn"), seconds);
    await terminal.enter("an endless one");
    await terminal.until("an answer without end", (screen) => screen.includes("and on and on"), seconds);
    const before = cancels();
    await terminal.press("Escape");
    await terminal.until("LM Studio told to stop", () => cancels() > before, 10);
    await terminal.enter("the second turn");
    log += await terminal.until("its answer", (screen) => screen.includes("Done with the second turn"), seconds);
    return [{ exitCode: 0, answer: "", log }];
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    return [{ exitCode: null, answer: "", log: `${log}\n${words}` }];
  }
}
