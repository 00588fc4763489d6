/** The spec of the README's example, as plain data that a test may spoil. */
// biome-ignore lint/suspicious/noExplicitAny: tests write what no type would allow
export type Loose = any;

export const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEuFY0cv9qbUdZBUKKyVQ0pJ6iv3fJVJ3HKpOMTf5rtC";

export const exampleSpec = (change: (spec: Loose) => void = () => {}): Loose => {
  const spec = {
    platform: "linux-cuda",
    connection: { host: "10.0.0.5", user: "gpu", hostKey },
    lmstudio: { version: "0.0.25-1", sha512: "a".repeat(128) },
    models: [{ id: "Qwen3.6-27B", source: { path: "/models/Qwen3.6-27B.Q4_K.gguf" }, sha256: "b".repeat(64) }],
    proxy: { keys: ["team-a"] },
  };
  change(spec);
  return spec;
};
