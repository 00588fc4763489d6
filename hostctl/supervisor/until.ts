import { pause } from "../pause.ts";

/** Asks ten times a second; `otherwise` says in words what did not come about. */
export async function until(test: () => Promise<boolean>, withinMs: number, otherwise: () => never): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await test())) {
    if (Date.now() > deadline) otherwise();
    await pause(100);
  }
}
