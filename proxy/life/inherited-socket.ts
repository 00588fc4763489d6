/** First descriptor that systemd hands to a service, and the one that our own parent process uses. */
const firstDescriptor = 3;

/**
 * The listening socket that was opened for this process by somebody else, by systemd's convention (sd_listen_fds): `LISTEN_PID` names the
 * process, or is `0` from a parent that cannot know it beforehand. Undefined when there is none.
 */
export function inheritedSocket(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const { LISTEN_FDS: count, LISTEN_PID: owner } = env;
  if (count === undefined || Number(count) < 1) return undefined;
  return owner === String(pid) || owner === "0" ? firstDescriptor : undefined;
}
