/** A conversation of Codex that grows from turn to turn: each turn sends all that was said before, and what the model did last. */
import { codexBody, filling, message } from "./request.ts";

type Item = Readonly<Record<string, unknown>>;

export class Conversation {
  readonly #name: string;
  readonly #items: Item[];
  #turns = 0;

  /** Two conversations have no item in common but the instructions, so that nothing of one is known from another. */
  constructor(name: string) {
    this.#name = name;
    this.#items = [
      message("developer", "You are a coding agent running in the Codex CLI, a terminal-based assistant. ".repeat(16)),
      message(
        "user",
        "<environment_context>\n  <cwd>/home/user/work</cwd>\n  <shell>bash</shell>\n</environment_context>",
      ),
      message("user", `Conversation ${name}: put the lines that tell of an error into a function of their own.`),
    ];
  }

  /** The model thought, read a file, asked an MCP server and wrote a patch; the answers stand behind the calls, as Codex puts them. */
  next(): void {
    const turn = `${this.#name}-${++this.#turns}`;
    const call = (what: string) => `call_${what}_${turn}`;
    this.#items.push(
      {
        type: "reasoning",
        id: `rs_${turn}`,
        summary: [],
        content: [{ type: "reasoning_text", text: filling(800) }],
        encrypted_content: null,
      },
      {
        type: "function_call",
        status: "completed",
        id: `fc_${turn}`,
        name: "exec_command",
        arguments: JSON.stringify({ cmd: `sed -n 1,400p src/${turn}.ts`, workdir: "/home/user/work" }),
        call_id: call("shell"),
      },
      {
        type: "function_call",
        status: "completed",
        id: `fc_mcp_${turn}`,
        name: "spawn_agent",
        namespace: "multi_agent_v1",
        arguments: JSON.stringify({ message: `look into ${turn}` }),
        call_id: call("mcp"),
      },
      {
        type: "custom_tool_call",
        id: `ctc_${turn}`,
        status: "completed",
        call_id: call("patch"),
        name: "apply_patch",
        input: `*** Begin Patch\n*** Update File: src/${turn}.ts\n@@\n${filling(1_500)}*** End Patch\n`,
      },
      { type: "function_call_output", id: `fco_${turn}`, call_id: call("shell"), output: filling(5_300) },
      {
        type: "function_call_output",
        id: `fco_mcp_${turn}`,
        call_id: call("mcp"),
        output: [
          { type: "input_text", text: "Wall time: 0.0022 seconds\nOutput:" },
          { type: "input_text", text: filling(900) },
        ],
      },
      {
        type: "custom_tool_call_output",
        id: `ctco_${turn}`,
        call_id: call("patch"),
        output: "Exit code: 0\nOutput:\nSuccess.\n",
      },
    );
  }

  body(model: string): string {
    return codexBody(model, this.#items);
  }
}
