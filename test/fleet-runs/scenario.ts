import type { Row } from "../e2e/rows.ts";

export interface Options {
  readonly times: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface Scenario {
  readonly what: string;
  /** How often when nobody says. */
  readonly times: number;
  readonly rows: (options: Options) => Promise<readonly Row[]>;
}
