// What set-up says: one line a step on stderr (stdout belongs to the program that runs afterwards), and failures that end in
// the next thing to do.

/** A failure that the user can do something about; shown without a stack. */
export class SetupError extends Error {
  /** @param {string} message what was expected and what was found @param {string} next what to do now */
  constructor(message, next) {
    super(message);
    this.name = "SetupError";
    this.next = next;
  }
}

export function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

export function seconds(sinceMs, nowMs = Date.now()) {
  return `${Math.round((nowMs - sinceMs) / 1000)} s`;
}

/** Repeats what `line` returns every `everyMs` until the work is done, so that a long step never looks dead. */
export async function withHeartbeat(line, work, everyMs = 20_000) {
  const timer = setInterval(() => say(line()), everyMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
