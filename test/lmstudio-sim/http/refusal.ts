/** A request that LM Studio answers with an error: one shape for every OpenAI-like endpoint. */
export class RequestRefused extends Error {
  readonly status: number;
  readonly param: string | null;
  readonly code: string | null;

  constructor(status: number, message: string, param: string | null = null, code: string | null = null) {
    super(message);
    this.name = "RequestRefused";
    this.status = status;
    this.param = param;
    this.code = code;
  }

  get body(): unknown {
    const type = this.status >= 500 ? "internal_error" : "invalid_request_error";
    return { error: { message: this.message, type, param: this.param, code: this.code } };
  }
}

/** What the engine says, passed on as it is: a string instead of an object. */
export class EngineRefused extends RequestRefused {
  override get body(): unknown {
    return { error: this.message };
  }
}

export const modelNotFound = (name: string): RequestRefused =>
  new RequestRefused(
    404,
    `Model "${name}" not found. Load it with "lms load", or list what is there with GET /v1/models.`,
    "model",
    "model_not_found",
  );
