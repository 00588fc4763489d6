/** LM Studio's release archives: where one lies, and digests that are known. */
import type { Platform } from "../spec/host-documents.ts";

export type Architecture = "x64" | "arm64";

const archiveName = (version: string, platform: Platform, architecture: Architecture): string => {
  const system = platform === "macos-metal" ? "darwin" : "linux";
  const cuda = platform === "linux-cuda" && architecture === "x64" ? "+cuda12" : "";
  return `${version}-${system}-${architecture}.full${cuda}.tar.gz`;
};

export const releaseUrl = (version: string, platform: Platform, architecture: Architecture): string =>
  `https://llmster.lmstudio.ai/download/${archiveName(version, platform, architecture)}`;

/**
 * As one third party recorded them. A wrong digest can only refuse an archive, never let a wrong one in, so they are good enough as defaults;
 * `lmstudio.sha512` in the spec comes first.
 */
const knownDigests: Readonly<Record<string, string>> = {
  "0.0.25-1-linux-x64.full.tar.gz":
    "4d119af740379fc7509894d761a85183420a6dd3cb994596a1b6e4b37208a5d3e8cb94ffe583115b1473a6722bab5fffc09b90eb22c755f5dde1458774ab4951",
  "0.0.25-1-linux-x64.full+cuda12.tar.gz":
    "179e05cee62c1e1f61f1c6480179b1e21df63af64ffa3a949a94f026afc4552d7a36db7208345e65f21f040d864c1603bf6cd1c0292e4751d696bee5679db007",
  "0.0.25-1-linux-arm64.full.tar.gz":
    "9743cfce0fd1e2b76f4fcbef6fbe4ed68f4e953781c0eba5c5db33308209f007939f3f946995618f22f8c4bb977919408c23a5cbbb369f530e2c92738f6891bc",
  "0.0.25-1-darwin-arm64.full.tar.gz":
    "edf1fb01f49b6ea101b3bd7027b4516eb73261d7b0df871c4286fac7011eb4f12633f7f03c9c6a66322659231c248989b7d235528b41bd2f30d87ce085c13b32",
};

export const knownDigest = (version: string, platform: Platform, architecture: Architecture): string | undefined =>
  knownDigests[archiveName(version, platform, architecture)];
