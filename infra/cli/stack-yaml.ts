/** A stack's file as a document, so that a change leaves comments and order as they are. Pure. */
import { type Document, isMap, parseDocument, Scalar } from "yaml";
import { CliFault } from "./fault.ts";

export const specPath = ["config", "lmstack:host"];

/** @throws CliFault when it is no YAML */
export function yamlOf(text: string, file: string): Document {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) throw new CliFault(`${file} is not valid YAML: ${error.message}`);
  return document;
}

/** @throws CliFault when it is no YAML or declares no host */
export function documentOf(text: string, file: string): Document {
  const document = yamlOf(text, file);
  if (!isMap(document.getIn(specPath)))
    throw new CliFault(
      `${file} has no lmstack:host. Next: write it (README, 'A real host in five steps'), or let \`lmstack serve\` do it`,
    );
  return document;
}

/** As Pulumi itself writes it, so that its next `config set` changes no line that this one wrote. */
export const textOf = (document: Document): string => document.toString({ lineWidth: 0, flowCollectionPadding: false });

export const specOf = (document: Document): Record<string, unknown> =>
  (document.toJS() as { config?: Record<string, Record<string, unknown>> }).config?.["lmstack:host"] ?? {};

/** Pulumi's YAML makes dates and numbers of more things than this one's, so only what begins as a word does is left bare. */
export const word = (text: string): Scalar => (/^[a-z]/i.test(text) ? new Scalar(text) : quoted(text));

export function quoted(text: string): Scalar {
  const scalar = new Scalar(text);
  scalar.type = Scalar.QUOTE_DOUBLE;
  return scalar;
}
