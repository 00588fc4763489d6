/** Where log lines go: to standard output, gathered for up to a second, and all of them before the process ends by itself. */
import { type Logger, pino } from "pino";

const gatheredBytes = 4096;
const gatheredMilliseconds = 1000;
/** A reader that has stopped must not take the memory: behind so much the newest lines are dropped. */
const mostBytes = 64 * 1024 * 1024;

/**
 * Writing each line by itself costs a system call a request. pino flushes what is gathered on `exit`, so after `process.exit` and after an
 * exception that nobody caught; only a SIGKILL can cost a second's lines.
 */
export function openLog(): Logger {
  const destination = pino.destination({
    dest: 1,
    sync: false,
    minLength: gatheredBytes,
    maxLength: mostBytes,
    periodicFlush: gatheredMilliseconds,
  });
  return pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}
