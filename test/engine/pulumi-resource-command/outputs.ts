// What a Command's state is made of: its inputs as they came, secrecy included, and its two streams. The streams never
// inherit secrecy: that is the official behaviour, and why lmstack keeps secrets out of them.

import { type Properties, same, UNKNOWN } from "./values.ts";

export interface Streams {
  readonly stdout: string;
  readonly stderr: string;
}

export function previousStreams(state: Properties): Streams {
  const text = (name: string): string => (typeof state[name] === "string" ? state[name] : "");
  return { stdout: text("stdout"), stderr: text("stderr") };
}

export function newState(inputs: Properties, streams: Streams): Properties {
  return { ...inputs, stdout: streams.stdout, stderr: streams.stderr };
}

export function previewOfCreate(inputs: Properties): Properties {
  return newState(inputs, { stdout: UNKNOWN, stderr: UNKNOWN });
}

/**
 * In the preview of an update the streams are unknown when an input that the state has is changed or gone. An input that
 * is added leaves them known, with their old values: a quirk of the official plugin that a program may run into.
 */
export function previewOfUpdate(state: Properties, inputs: Properties): Properties {
  const changed = Object.keys(state).some(
    (name) => name !== "stdout" && name !== "stderr" && !same(state[name], inputs[name]),
  );
  return changed ? previewOfCreate(inputs) : newState(inputs, previousStreams(state));
}
