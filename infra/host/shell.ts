/** Shell text for the host. */
import { userInfo } from "node:os";
import { type HostSpec, isRemote } from "../spec/host-spec.ts";

export const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export interface Account {
  readonly connection: HostSpec["connection"];
  readonly lmstudio: Pick<HostSpec["lmstudio"], "user">;
}

/** Who LM Studio belongs to when that is not the user who connects: then everything runs through sudo as that user. */
export function otherOwner({ connection, lmstudio }: Account): string | undefined {
  const login = isRemote(connection) ? connection.user : userInfo().username;
  return lmstudio.user === login ? undefined : lmstudio.user;
}

/** Runs a POSIX script as the owner, whatever the login shell is; the shell's path is the one in the sudoers file of a prepared host. */
export function asOwner(spec: Account, script: string): string {
  const owner = otherOwner(spec);
  const shell = `/bin/sh -c ${shellWord(script)}`;
  return owner === undefined ? shell : `sudo -n -u ${owner} -H -- ${shell}`;
}
