/** Something that the user has to put right: printed as words, without a stack. */
export class CliFault extends Error {
  readonly exitCode: number = exitCodes.failed;
}

/** The command line, or an environment variable that is part of it, cannot be meant. */
export class UsageFault extends CliFault {
  override readonly exitCode = exitCodes.usage;
}

/** What every verb ends with. */
export const exitCodes = { done: 0, failed: 1, usage: 2, unhealthy: 3 } as const;

export const exitCodesHelp = `
Exit status: 0 done, 1 failed (what to do next is said on standard error), 2 wrong usage,
3 looked and found something that is not as it should be (status, doctor, fleet check, fleet plan, fleet top, fleet status,
fleet rollout, ci preview, ci drift).`;
