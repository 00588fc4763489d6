/** What somebody does in the terminal interface: a turn, one that is cancelled with Esc, another turn, and out. */
import type { Ending } from "./codex.ts";
import type { Place } from "./place.ts";
import { Terminal } from "./terminal.ts";

/** Codex has given up a turn; the message is its screen. */
class Stopped extends Error {}

/** Its own words for an error follow a black square; so do those for what was cancelled. */
const errorOn = (screen: string): string =>
  screen
    .split("\n")
    .filter((line) => line.includes("■") && !line.includes("interrupted"))
    .join(" ");

export async function playTerminal(place: Place, seconds: number): Promise<readonly Ending[]> {
  await using terminal = await Terminal.ofCodex(place);
  const cancels = () => place.sim.journal().filter(({ event }) => event === "cancel").length;
  const answered = async (words: string): Promise<string> => {
    const screen = await terminal.until(
      `"${words}"`,
      (shown) => shown.includes(words) || errorOn(shown) !== "",
      seconds,
    );
    if (!screen.includes(words)) throw new Stopped(screen);
    return screen;
  };
  let log = "";
  try {
    await terminal.until("a prompt", (screen) => screen.includes("›"), 30);
    await terminal.enter("the first turn");
    log += await answered("Done with the first turn");
    await terminal.enter("an endless one");
    await answered("and on and on");
    const before = cancels();
    await terminal.press("Escape");
    await terminal.until("LM Studio told to stop", () => cancels() > before, 10);
    await terminal.enter("the second turn");
    log += await answered("Done with the second turn");
    return [{ exitCode: 0, answer: "", log }];
  } catch (error) {
    if (error instanceof Stopped) return [{ exitCode: 1, answer: "", log: `${log}\nERROR ${errorOn(error.message)}` }];
    const words = error instanceof Error ? error.message : String(error);
    return [{ exitCode: null, answer: "", log: `${log}\n${words}` }];
  }
}
