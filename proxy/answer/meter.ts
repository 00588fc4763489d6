import type { TokenUsage } from "../seeing/record.ts";
import type { AnswerForm } from "./leak.ts";
export class AnswerMeter {
  sawToken = false;
  events = 0;
  constructor(_form: AnswerForm, _stream: boolean) {}
  observe(_chunk: Buffer): void {
    this.sawToken = true;
  }
  usage(): TokenUsage | undefined {
    return undefined;
  }
}
