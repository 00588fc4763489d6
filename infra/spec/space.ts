/** Room that a file of that many bytes needs: itself, and a reserve of 5 %, at least 1 GiB, so that logs and state go on. */
export const roomFor = (bytes: number): number => Math.ceil(bytes + Math.max(bytes * 0.05, 2 ** 30));

/** LM Studio's archive and what comes out of it, side by side, for each byte of the archive. */
export const archiveTimes = 3;
