/** Words on standard error while something takes longer than a second, so that a wait never looks like a hang. */
const firstMs = 1_000;
const againMs = 10_000;

/** @param what in the form "looking at the host" */
export async function progress<T>(
  what: string,
  work: Promise<T>,
  say: (line: string) => void = console.error,
): Promise<T> {
  const started = performance.now();
  let next: NodeJS.Timeout;
  const speak = () => {
    const seconds = Math.round((performance.now() - started) / 1_000);
    say(seconds < againMs / 1_000 ? `${what} …` : `${what} … ${seconds} s`);
    next = setTimeout(speak, againMs);
  };
  next = setTimeout(speak, firstMs);
  try {
    return await work;
  } finally {
    clearTimeout(next);
  }
}
