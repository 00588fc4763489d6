import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";

/** Why a model's file or folder on this host could not be looked at, from the error of trying. */
export function unreadable(host: Host, id: string, path: string, what: "file" | "folder", error: unknown): HostFailure {
  return errno(error) === "EACCES"
    ? new HostFailure(
        "privilege_missing",
        `${host.user} may not read ${path} (model ${id})`,
        "give that user access to the folder",
      )
    : new HostFailure(
        "file_missing",
        `model ${id}: there is no ${what} ${path} on this host`,
        `correct source.path in the spec, or bring the ${what} there`,
      );
}
