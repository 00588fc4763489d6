// Loaded into the proxy's process ahead of it (`--import`): counts what is alive there, when asked over descriptor 3. Not over Node's own
// channel, which the proxy would take for the one to the process that it belongs to.
import { readdirSync } from "node:fs";
import { Socket } from "node:net";

const timers = new Set();
let sweepAt = 4096;

/** Unref'd timers appear in no list of Node's, so each is noted where it is made. */
function noted(original) {
  const counted = (...args) => {
    const timer = original(...args);
    timers.add(timer);
    if (timers.size > sweepAt) sweepAt = Math.max(4096, 2 * alive());
    return timer;
  };
  return Object.defineProperties(counted, Object.getOwnPropertyDescriptors(original));
}

function alive() {
  for (const timer of timers) if (timer._destroyed) timers.delete(timer);
  return timers.size;
}

globalThis.setTimeout = noted(globalThis.setTimeout);
globalThis.setInterval = noted(globalThis.setInterval);

function listenersOf(emitter) {
  return emitter.eventNames?.().reduce((sum, name) => sum + emitter.listenerCount(name), 0) ?? 0;
}

const channel = new Socket({ fd: 3 });
channel.unref();
channel.on("data", () => {
  globalThis.gc?.();
  const handles = process._getActiveHandles();
  const vitals = {
    descriptors: readdirSync("/proc/self/fd").length,
    timers: alive(),
    listeners: handles.reduce((sum, handle) => sum + listenersOf(handle), listenersOf(process)),
    handles: handles.length,
    resources: process.getActiveResourcesInfo().length,
    heapBytes: process.memoryUsage().heapUsed,
  };
  channel.write(`${JSON.stringify(vitals)}\n`);
});
// Whoever started it is gone, however that came about.
channel.once("close", () => process.exit(1));
