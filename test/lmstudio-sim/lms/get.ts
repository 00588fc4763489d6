/** `lms get`: nothing can be fetched from here; it knows what is there. */
import { wakingClient } from "./client.ts";
import { Fault, say } from "./console.ts";

/** `owner/name`, a model's key, or a Hugging Face URL, each with `@quantization` behind it or without. */
export async function getModel(home: string, wanted: string | undefined): Promise<void> {
  const client = await wakingClient(home);
  const [name = "", variant] = (wanted ?? "")
    .replace(/^https:\/\/huggingface\.co\//, "")
    .toLowerCase()
    .split("@");
  const model = (await client.call("list", {})).find(
    ({ path, modelKey }) => path.toLowerCase().startsWith(`${name}/`) || modelKey === name,
  );
  if (model === undefined || name === "")
    throw new Fault("Failed to search for models: huggingface.co cannot be reached.");
  if (variant !== undefined && model.quantization.name.toLowerCase() !== variant)
    throw new Fault(`Cannot find variant ${variant}.`);
  say(`Model already downloaded. To use, run: lms load ${model.modelKey}`);
}
