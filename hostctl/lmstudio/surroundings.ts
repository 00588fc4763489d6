/** What `lms` needs of the environment, and nothing else: no secret or socket of hostctl's own reaches LM Studio and what it starts. */
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import type { Host } from "../host.ts";

/** Which cards, which libraries, how to the network, where to write for a moment: settings that a person may have made for LM Studio. */
const passed =
  /^(PATH|LANG|TZ|TMPDIR|XDG_RUNTIME_DIR|LD_LIBRARY_PATH|(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|(CUDA|NVIDIA|HIP|ROCR|HSA|GGML|VK)_\w+)$/i;
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** HOME is always there: LM Studio finds its folder by it. */
export function lmsSurroundings(
  host: Pick<Host, "home" | "paths">,
  all: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const kept = Object.entries(all).flatMap(([name, value]) =>
    value !== undefined && passed.test(name) ? [[name, value] as const] : [],
  );
  const { PATH = usualPath, ...rest } = Object.fromEntries(kept);
  const own = [join(host.paths.lmstudio, "bin"), dirname(process.execPath)];
  const { username } = userInfo();
  return {
    ...rest,
    PATH: [...new Set([...PATH.split(":"), ...own])].join(":"),
    HOME: host.home,
    USER: username,
    LOGNAME: username,
  };
}
