/** `lms log stream`. */
import { requestDaemon, wakingClient } from "./client.ts";
import { print } from "./console.ts";

/** Until it is told to stop; SIGTERM is a good end. */
export async function logStream(home: string, options: { json?: boolean; source?: string }): Promise<void> {
  const { daemon } = await wakingClient(home);
  process.on("SIGTERM", () => process.exit(0));
  const response = await requestDaemon(daemon, "/log");
  let rest = "";
  for await (const chunk of response) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { timestamp, data } = JSON.parse(line) as { timestamp: number; data: { type: string; content: unknown } };
      const source = data.type.startsWith("llm.") ? "model" : data.type.split(".")[0];
      if (options.source !== undefined && options.source !== source) continue;
      print(
        options.json === true
          ? line
          : `${new Date(timestamp).toISOString()} ${data.type} ${JSON.stringify(data.content)}`,
      );
    }
  }
}
