/** The requests of a run, with bodies of the wanted kind and size. */

/** Of the proxy under test; the other peers have no use for it and take it all the same. */
export const benchKey = "sk-bench-0123456789abcdef0123456789abcdef";

export interface LoadRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** `id` is for the stand-in, where it watches. */
export function postRequest(path: string, body: string, id?: string): LoadRequest {
  const bytes = Buffer.from(body);
  return {
    method: "POST",
    path,
    headers: {
      host: "127.0.0.1",
      authorization: `Bearer ${benchKey}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "user-agent": "lmstack-bench",
      "content-length": String(bytes.length),
      ...(id === undefined ? {} : { "x-bench-id": id }),
    },
    body: bytes,
  };
}

export function getRequest(path: string): LoadRequest {
  const headers = { host: "127.0.0.1", authorization: `Bearer ${benchKey}` };
  return { method: "GET", path, headers, body: Buffer.alloc(0) };
}

const prepared = new WeakMap<LoadRequest, Buffer>();

/** The whole request as bytes; made once, however often it is sent. */
export function onTheWire(request: LoadRequest): Buffer {
  const known = prepared.get(request);
  if (known !== undefined) return known;
  const fields = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${request.method} ${request.path} HTTP/1.1\r\n${fields.join("")}\r\n`;
  const bytes = Buffer.concat([Buffer.from(head), request.body]);
  prepared.set(request, bytes);
  return bytes;
}

export function chatBody(model: string, stream: boolean): string {
  return JSON.stringify({
    model,
    messages: [
      { role: "system", content: "You are a helpful assistant." },
      { role: "user", content: "Say that you are done." },
    ],
    temperature: 0.7,
    stream,
  });
}

const line = 'const found = lines.filter((line) => line.includes("error"));\t// quoted \\ and escaped\n';

/** A body of the size and kind of Codex's, grown to `bytes`, that needs no translation: one message and a few function tools. */
export function codexSizeBody(model: string, bytes: number): string {
  const of = (text: string) =>
    JSON.stringify({
      model,
      input: [message("user", text)],
      tools: ["exec_command", "update_plan", "view_image"].map((name) => functionTool(name)),
      tool_choice: "auto",
      stream: false,
    });
  return of(filling(bytes - Buffer.byteLength(of(""))));
}

/** What Codex sends in a turn, grown to `bytes`: its tools of every kind, instructions, and a conversation with calls and their output. */
export function codexTurnBody(model: string, bytes: number): string {
  const items: Record<string, unknown>[] = [
    message("developer", "You are a coding agent running in the Codex CLI, a terminal-based assistant. ".repeat(16)),
    message(
      "user",
      "<environment_context>\n  <cwd>/home/user/work</cwd>\n  <shell>bash</shell>\n</environment_context>",
    ),
    message("user", "Find the lines that tell of an error and put them into a function of their own."),
    {
      type: "function_call",
      name: "exec_command",
      arguments: JSON.stringify({ cmd: "sed -n 1,400p src/log.ts", workdir: "/home/user/work" }),
      call_id: "call_1",
    },
    { type: "function_call_output", call_id: "call_1", output: "" },
  ];
  const output = filling(bytes - Buffer.byteLength(codexBody(model, items)));
  Object.assign(items[4] as object, { output });
  return codexBody(model, items);
}

/** Around the items of a conversation: Codex's tools and settings. */
export function codexBody(model: string, input: readonly unknown[]): string {
  return JSON.stringify({
    model,
    input,
    tools: codexTools(),
    tool_choice: "auto",
    parallel_tool_calls: true,
    reasoning: { summary: "auto" },
    store: false,
    stream: false,
    include: ["reasoning.encrypted_content"],
    prompt_cache_key: "01a205e9-d578-7283-9f38-cefe6c56c7a5",
  });
}

/** Text that takes at least `bytes` as JSON. */
export function filling(bytes: number): string {
  return line.repeat(Math.max(0, Math.ceil(bytes / (JSON.stringify(line).length - 2))));
}

export function message(role: string, text: string) {
  return { type: "message", role, content: [{ type: "input_text", text }] };
}

function codexTools(): unknown[] {
  const names = ["exec_command", "write_stdin", "list_mcp_resources", "read_mcp_resource", "update_plan", "view_image"];
  const inNamespace = ["spawn_agent", "send_input", "wait_agent", "close_agent"];
  return [
    ...names.map((name) => functionTool(name)),
    {
      type: "namespace",
      name: "multi_agent_v1",
      description: "Other agents.",
      tools: inNamespace.map((name) => functionTool(name)),
    },
    {
      type: "custom",
      name: "apply_patch",
      description: "Edits files by a patch.",
      format: { type: "grammar", syntax: "lark", definition: "start: begin hunk+ end\n".repeat(20) },
    },
    { type: "web_search", external_web_access: false },
  ];
}

function functionTool(name: string) {
  const property = (type: string) => ({
    type,
    description: "What the call works with, told to the model in one sentence.",
  });
  return {
    type: "function",
    name,
    description: `Calls ${name}. `.repeat(20).trim(),
    strict: false,
    parameters: {
      type: "object",
      properties: {
        cmd: property("string"),
        workdir: property("string"),
        timeout_ms: property("number"),
        tty: property("boolean"),
      },
      required: ["cmd"],
      additionalProperties: false,
    },
  };
}
