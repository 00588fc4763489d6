/** Where log lines go: to standard output, gathered for up to a second, and all of them before the process ends by itself. */
import { type Logger, pino } from "pino";

const gatheredBytes = 4096;
const gatheredMilliseconds = 1000;

/**
 * Writing each line by itself costs a system call a request. What is gathered is written synchronously on purpose: a write that is still
 * under way when the process ends and the last flush mix their bytes, as pino's asynchronous destination does. The flush on `exit` also
 * covers an exception that nobody caught; only a SIGKILL costs the last second's lines.
 */
export function openLog(): Logger {
  const destination = pino.destination({
    dest: 1,
    sync: true,
    minLength: gatheredBytes,
    periodicFlush: gatheredMilliseconds,
  });
  process.on("exit", () => destination.flushSync());
  return pino({ base: null, timestamp }, destination);
}

let stampedAt = 0;
let stamp = "";

/** ISO time as a log line has it; many lines of a busy millisecond share one. */
function timestamp(): string {
  const now = Date.now();
  if (now !== stampedAt) {
    stampedAt = now;
    stamp = `,"time":"${new Date(now).toISOString()}"`;
  }
  return stamp;
}
