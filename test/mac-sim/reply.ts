/** What a command prints and how it ends. */
export interface Reply {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const printed = (stdout: string): Reply => ({ code: 0, stdout: stdout === "" ? "" : `${stdout}\n`, stderr: "" });
export const failed = (code: number, stderr: string): Reply => ({ code, stdout: "", stderr: `${stderr}\n` });
