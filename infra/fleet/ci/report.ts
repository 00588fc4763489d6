/** What one host's `pulumi preview` tells a reader of a pull request or of the drift issue. Pure. */
import { z } from "zod";

export const hostReport = z.strictObject({
  host: z.string(),
  /** What `up` would do, in its order. */
  steps: z.array(z.strictObject({ op: z.string(), resource: z.string() })),
  /** What is not as it was left behind, in words. */
  drift: z.array(z.string()),
  /** Why there could be no preview. */
  fault: z.string().nullable(),
});
export type HostReport = z.output<typeof hostReport>;

/** Components and providers are only what holds and reaches the things that are on the host. */
const state = z.looseObject({ custom: z.boolean(), type: z.string() });

/** As `pulumi preview --json` prints it. */
const previewed = z.looseObject({
  steps: z
    .array(z.looseObject({ op: z.string(), urn: z.string(), newState: state.optional(), oldState: state.optional() }))
    .default([]),
  diagnostics: z.array(z.looseObject({ message: z.string(), severity: z.string() })).default([]),
});

const quiet = new Set(["same", "read", "refresh"]);

export function reportOf(host: string, preview: unknown): HostReport {
  const { steps, diagnostics } = previewed.parse(preview);
  const said = diagnostics.map(({ severity, message }) => ({
    severity,
    message: message.trim().replace(/^(error|warning): /, ""),
  }));
  return {
    host,
    steps: steps
      .filter(({ op, newState, oldState }) => {
        const of = newState ?? oldState;
        return !quiet.has(op) && of?.custom !== false && !of?.type.startsWith("pulumi:");
      })
      .map(({ op, urn }) => ({ op, resource: urn.split("::").at(-1) ?? urn })),
    drift: said.filter(({ severity }) => severity === "warning").map(({ message }) => message.replace(/^drift: /, "")),
    fault:
      said
        .filter(({ severity }) => severity === "error")
        .map(({ message }) => message)
        .join("\n") || null,
  };
}
