/** Requests as Codex makes them, and as it might: tools of every kind and name, a conversation that used them, and what is not known yet. */
import fc from "fast-check";
import type { Json } from "./json.ts";

const anyText = fc.string({ unit: "grapheme", maxLength: 20 });
/** Also half characters, and what ends a line or a string elsewhere. */
export const oddText = fc.oneof(
  anyText,
  fc.string({ unit: "binary", maxLength: 12 }).filter((text) => text.isWellFormed()),
  fc.constantFrom(
    '"',
    "\\",
    "\n\n",
    "data: x\n\n",
    '{"a":"b"}',
    "<think>",
    "*** Begin Patch\n*** End Patch\n",
    "\u2028",
    "é漢😀",
  ),
);

/** Few enough that they meet: in other kinds, in namespaces, and in what a flattened name looks like. */
const commonNames = "a b a__b exec apply_patch web_search tool_search input mcp__a mcp__a__b functions wait".split(" ");
const toolName = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...commonNames) },
  { weight: 2, arbitrary: fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/) },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z0-9_-]{55,80}$/) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }) },
);
const namespaceName = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("functions", "mcp__a", "a", "multi_agent_v1") },
  { weight: 1, arbitrary: toolName },
);

const schema: fc.Arbitrary<unknown> = fc.constantFrom(
  { type: "object", properties: {} },
  { type: "object", properties: { cmd: { type: "string" }, limit: { type: "number" } }, required: ["cmd"] },
  { type: "object", properties: { deep: { type: "array", items: { type: "object" } } }, additionalProperties: false },
);

const functionTool = fc.record({
  type: fc.constant("function"),
  name: toolName,
  description: anyText,
  strict: fc.constant(false),
  parameters: schema,
});
const customTool = fc.record(
  {
    type: fc.constant("custom"),
    name: toolName,
    description: anyText,
    format: fc.oneof(
      fc.constant({ type: "text" }),
      anyText.map((definition) => ({ type: "grammar", syntax: "lark", definition })),
    ),
  },
  { requiredKeys: ["type", "name", "description"] },
);
const leaf = fc.oneof({ weight: 3, arbitrary: functionTool }, { weight: 1, arbitrary: customTool });
const namespaceTool = fc.record({
  type: fc.constant("namespace"),
  name: namespaceName,
  description: anyText,
  tools: fc.array(leaf, { maxLength: 4 }),
});
const searchTool = fc.constant({
  type: "tool_search",
  execution: "client",
  description: "find tools",
  parameters: { type: "object", properties: { query: { type: "string" } }, required: ["query"] },
});
/** What cannot be called from here. */
const otherTool = fc.constantFrom<Json>(
  { type: "web_search", external_web_access: true },
  { type: "image_generation", output_format: "png" },
  { type: "mystery", name: "of tomorrow" },
);
const tool: fc.Arbitrary<Json> = fc.oneof(
  { weight: 3, arbitrary: leaf },
  { weight: 2, arbitrary: namespaceTool },
  { weight: 1, arbitrary: searchTool },
  { weight: 1, arbitrary: otherTool },
);

const image = { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "high" };
const outputParts = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: oddText.map((text): Json => ({ type: "input_text", text })) },
    { weight: 1, arbitrary: fc.constant<Json>(image) },
  ),
  { minLength: 1, maxLength: 3 },
);
const toolOutput = fc.oneof<fc.Arbitrary<unknown>[]>(oddText, outputParts);
const jsonArguments = fc
  .dictionary(fc.constantFrom("cmd", "path", "x"), fc.oneof(oddText, fc.integer()))
  .map((value) => JSON.stringify(value));

/** A call and its output: one never comes without the other, as Codex sees to itself. */
const callStep: fc.Arbitrary<readonly Json[]> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(toolName, fc.option(namespaceName), jsonArguments, toolOutput)
      // Codex's own tools have plain names; what a model makes up is told as it was called.
      .filter(([name, namespace]) => namespace !== null || /^[A-Za-z0-9_-]{1,64}$/.test(name))
      .map(([name, namespace, args, output]) => [
        {
          type: "function_call",
          status: "completed",
          id: "fc_1",
          name,
          ...(namespace === null ? {} : { namespace }),
          arguments: args,
          call_id: "call_1",
        },
        { type: "function_call_output", id: "fco_1", call_id: "call_1", output },
      ]),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(toolName, oddText, toolOutput).map(([name, input, output]) => [
      { type: "custom_tool_call", id: "ctc_1", status: "completed", call_id: "call_2", name, input },
      { type: "custom_tool_call_output", id: "ctco_1", call_id: "call_2", output },
    ]),
  },
  {
    weight: 1,
    arbitrary: fc.array(namespaceTool, { maxLength: 2 }).map((tools) => [
      {
        type: "tool_search_call",
        id: "tsc_1",
        call_id: "call_3",
        status: "completed",
        execution: "client",
        arguments: { query: "x" },
      },
      { type: "tool_search_output", id: "tso_1", call_id: "call_3", status: "completed", execution: "client", tools },
    ]),
  },
);

/** Outputs of calls that were made at once stand behind the last of them. */
const callsAtOnce = fc.tuple(callStep, callStep).map(([first, second]) => {
  const items = [...first.map((item) => renumbered(item, "a")), ...second.map((item) => renumbered(item, "b"))];
  const isOutput = ({ type }: Json) => String(type).endsWith("_output");
  return [...items.filter((item) => !isOutput(item)), ...items.filter(isOutput)];
});

const step: fc.Arbitrary<readonly Json[]> = fc.oneof(
  { weight: 8, arbitrary: callStep },
  { weight: 2, arbitrary: callsAtOnce },
  {
    weight: 2,
    arbitrary: oddText.map((text) => [{ type: "message", role: "user", content: [{ type: "input_text", text }] }]),
  },
  { weight: 1, arbitrary: oddText.map((content) => [{ role: "user", content }]) },
  {
    weight: 2,
    arbitrary: oddText.map((text) => [
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text }],
      },
    ]),
  },
  {
    weight: 1,
    arbitrary: oddText.map((text) => [
      { type: "message", role: "user", content: [{ type: "input_text", text }, image] },
    ]),
  },
  {
    weight: 1,
    arbitrary: oddText.map((text) => [
      {
        type: "reasoning",
        id: "rs_1",
        summary: [],
        content: [{ type: "reasoning_text", text }],
        encrypted_content: null,
      },
    ]),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Json[]>(
      [{ type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "x" } }],
      [{ type: "web_search_call", status: "completed" }],
      [{ type: "mystery", content: "of tomorrow" }],
    ),
  },
);

const renumbered = (item: Json, suffix: string): Json =>
  item.call_id === undefined ? item : { ...item, call_id: `${item.call_id}${suffix}` };

const developer = oddText.map((text) => ({
  type: "message",
  role: "developer",
  content: [{ type: "input_text", text }],
}));

export interface Conversation {
  readonly front: readonly Json[];
  readonly steps: readonly (readonly Json[])[];
  readonly rest: Json;
}

export const conversation: fc.Arbitrary<Conversation> = fc
  .record({
    tools: fc.option(fc.array(tool, { maxLength: 5 })),
    brought: fc.option(fc.array(namespaceTool, { maxLength: 2 }), { freq: 4 }),
    instructions: fc.array(developer, { maxLength: 2 }),
    steps: fc.array(step, { maxLength: 6 }),
    extra: fc.constantFrom<Json>(
      {},
      { text: { verbosity: "low" } },
      { text: { format: { type: "json_schema", strict: true, name: "codex_output_schema", schema: {} } } },
      { reasoning: { effort: "none", summary: "auto" }, service_tier: "flex" },
    ),
  })
  .map(({ tools, brought, instructions, steps, extra }) => {
    const bringing =
      brought === null ? [] : [{ type: "additional_tools", id: "at_1", role: "developer", tools: brought }];
    const front = [
      ...bringing,
      ...instructions,
      { type: "message", role: "user", content: [{ type: "input_text", text: "begin" }] },
    ];
    const rest = {
      ...(tools === null ? {} : { tools, tool_choice: "auto", parallel_tool_calls: true }),
      store: false,
      include: ["reasoning.encrypted_content"],
      prompt_cache_key: "00000000-0000-4000-8000-000000000001",
      client_metadata: { turn_id: "x" },
      ...extra,
    };
    return { front, steps, rest };
  });

/** The request at the `turn`th step of a conversation. Each call has an id of its own. */
export function requestAt({ front, steps, rest }: Conversation, turn = steps.length): Json {
  const said = steps.slice(0, turn).flatMap((items, place) => items.map((item) => renumbered(item, `_${place}`)));
  return { model: "test-model", stream: true, input: [...front, ...said], ...rest };
}
