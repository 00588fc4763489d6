/** What the last `up` left in the stack's outputs, for a preview while the host cannot be reached. */
import * as pulumi from "@pulumi/pulumi";
import { type Fault, faultLine } from "../spec/faults.ts";
import type { Known } from "./survey.ts";

/** Null when this is an `up`, or when there was never one that ended well. */
export async function lastKnown(fault: Fault): Promise<Known | null> {
  if (!pulumi.runtime.isDryRun()) return null;
  const own = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const { value, secretValue } = await new pulumi.StackReference(own).getOutputDetails("known");
  const known = (secretValue ?? value) as Known | undefined;
  if (!known) return null;
  pulumi.log.warn(`${faultLine(fault)} This preview shows only what the spec changes; \`pulumi up\` will fail.`);
  return known;
}
