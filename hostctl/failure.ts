import type { ErrorCode } from "../infra/spec/host-documents.ts";

/** A failure that a person can act on: what was found, what was expected, and the next step in `hint`. */
export class HostFailure extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = "HostFailure";
    this.code = code;
    this.hint = hint;
  }
}

export function asFailure(error: unknown): HostFailure {
  if (error instanceof HostFailure) return error;
  const code = errno(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === "ENOSPC")
    return new HostFailure("disk_full", `the disk is full: ${message}`, "free some space, then run up again", error);
  if (code === "EACCES" || code === "EPERM") {
    return new HostFailure("privilege_missing", message, "give the SSH user access to that path", error);
  }
  return new HostFailure("internal", message, "run up again; if it stays, report it with this message", error);
}

export function errno(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined;
}
