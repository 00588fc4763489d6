/** Asked every few seconds by machines: counted nowhere, and logged only for those who look for it. */
export function isProbe(path: string): boolean {
  return path === "/healthz" || path === "/readyz" || path === "/metrics";
}
