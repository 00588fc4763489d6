/** One request from its head to its end: who may, where to, what is changed on the way, a slot, the exchange, and what is remembered of it. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout } from "node:timers/promises";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import { type Caller, localAdmin, modelFault } from "./access/caller.ts";
import { allowOrigin, answerPreflight, isPreflight } from "./access/cors.ts";
import { leftOutHeaders } from "./access/key-headers.ts";
import { lowPriority, threadOf } from "./admission/title-request.ts";
import { slotOf } from "./admission/wait.ts";
import type { AnswerForm } from "./answer/leak.ts";
import { AnswerMeter } from "./answer/meter.ts";
import type { Rounds } from "./codex/answer/rounds.ts";
import type { CallTable } from "./codex/calls.ts";
import { RequestMemo } from "./codex/request/translate.ts";
import { ResponseNames } from "./codex/response-names.ts";
import { answerFault } from "./errors/answer.ts";
import { Fault } from "./errors/fault.ts";
import { encodingFault, internalFault, unnamedFault, websocketFault } from "./errors/request-faults.ts";
import type { GatewayMemory, GatewayParts } from "./gateway-parts.ts";
import { ModelAnswer } from "./model-answer.ts";
import { type Plan, type PlanFacts, planRequest, renamedRequest } from "./plan.ts";
import { readingRequest } from "./reading.ts";
import { ClientGone } from "./relay/body.ts";
import { Downstream } from "./relay/downstream.ts";
import { relay } from "./relay/exchange.ts";
import { headFault, targetOf } from "./relay/head.ts";
import { headerList, requestHeaders } from "./relay/headers.ts";
import { type ArrivedBody, readJsonBody } from "./relay/json-body.ts";
import { written } from "./relay/pieces.ts";
import type { AnswerWork, Outcome, UpstreamRequest } from "./relay/work.ts";
import { dialectOf, type Route, routeOf } from "./routes.ts";
import { continuedRequest } from "./search/continued.ts";
import { SearchLoop } from "./search/loop.ts";
import type { RequestRecord } from "./seeing/record.ts";
import type { JsonBody } from "./splice/body.ts";
import { effortAlone } from "./thinking/memory.ts";
import type { Strategy } from "./thinking/policy.ts";
import { switchName } from "./thinking/rules.ts";
import { switchOf, type Wish, wishOf } from "./thinking/wish.ts";
import { ChosenInstance } from "./upstream/chosen-instance.ts";
import { isDeclared } from "./upstream/readiness.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export function createGateway(parts: GatewayParts): Handler {
  const memory = { requests: new RequestMemo(), names: new ResponseNames() };
  return (request, response) => {
    if (parts.isLeaving()) response.shouldKeepAlive = false;
    const served = new ServedRequest(parts, memory, request, response);
    void served.run();
  };
}

/** `plan` makes the body that goes up, once it is known to which instance. */
type Prepared = Omit<Plan, "chunks"> & { readonly plan: () => Buffer[] } & Pick<AnswerWork, "rounds" | "instead">;

class ServedRequest {
  readonly #parts: GatewayParts;
  readonly #memory: GatewayMemory;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #config: ProxyConfig;
  readonly #started = performance.now();
  readonly #id = randomUUID();
  readonly #target: string;
  readonly #path: string;
  #label = "other";
  #caller: Caller | undefined;
  #wish: Wish | undefined;
  #body: JsonBody | undefined;
  #requestBytes = 0;
  #strategy: Strategy | undefined;
  #noThink: string | undefined;
  #stream = false;
  #queueMs: number | undefined;
  #down: Downstream | undefined;
  #rewritten: readonly string[] = [];
  #answer: ModelAnswer | undefined;
  readonly #instance: ChosenInstance;

  constructor(parts: GatewayParts, memory: GatewayMemory, request: IncomingMessage, response: ServerResponse) {
    this.#parts = parts;
    this.#memory = memory;
    this.#request = request;
    this.#response = response;
    // One configuration for the whole of a request, however often it is reloaded meanwhile.
    this.#config = parts.settings.current;
    this.#target = targetOf(request);
    this.#path = this.#target.split("?", 1)[0] as string;
    this.#instance = new ChosenInstance(parts.instances, request, parts.isAdmin(request));
  }

  async run(): Promise<void> {
    let outcome: Outcome;
    try {
      outcome = await this.#serve();
    } catch (error) {
      outcome = this.#failed(error);
    }
    // What LM Studio had loaded when it failed need not be what it has loaded once it is back.
    if (outcome.fault?.code.startsWith("upstream_")) this.#parts.catalog.doubt();
    this.#parts.observer.finished(this.#record(outcome), this.#request, this.#body);
  }

  async #serve(): Promise<Outcome> {
    const { isAdmin, ownPaths } = this.#parts;
    const request = this.#request;
    const fault = headFault(request);
    if (fault !== undefined) {
      this.#response.shouldKeepAlive = false;
      throw fault;
    }
    const admin = isAdmin(request);
    if (this.#config.cors.length > 0) {
      if (isPreflight(request)) return answerPreflight(request, this.#response, this.#config.cors);
      allowOrigin(request, this.#response, this.#config.cors);
    }
    const own = ownPaths.find(this.#path);
    if (own !== undefined) {
      this.#label = own.label;
      return await own.answer(request, this.#response, { admin, admit: () => this.#admit(own.basic) });
    }
    const route = routeOf(request.method ?? "GET", this.#path);
    if (!(route instanceof Fault)) this.#label = route.label;
    // Who may comes before what there is: a stranger learns of no path.
    const caller = admin ? localAdmin : await this.#admit(false);
    if (request.headers.upgrade?.toLowerCase().includes("websocket")) throw websocketFault(this.#path);
    if (route instanceof Fault) throw route;
    return route.form === undefined ? await this.#pass(route, caller) : await this.#work(route, caller);
  }

  async #admit(basic: boolean): Promise<Caller> {
    const { headers, socket } = this.#request;
    const verdict = this.#parts.gatekeeper.admit(headers, socket.remoteAddress ?? "", { basic });
    if ("caller" in verdict) {
      this.#caller = verdict.caller;
      return verdict.caller;
    }
    if (verdict.delayMs > 0) await setTimeout(verdict.delayMs, undefined, { ref: false });
    throw verdict.fault;
  }

  async #pass(route: Route, caller: Caller): Promise<Outcome> {
    this.#continue();
    const { up, work } = await readingRequest(this.#request, this.#target, route, caller, this.#config, this.#parts);
    return await this.#relay(route, up, [], work);
  }

  async #work(route: Route, caller: Caller): Promise<Outcome> {
    const { plan, rewritten, droppedTools, calls, ...more } = await this.#prepare(route, caller);
    // An administrator's request to one instance waits for nobody.
    const slot = this.#instance.pinned === undefined ? await this.#slot(caller) : undefined;
    try {
      const up = this.#upstreamRequest(plan());
      const extra: string[] = [];
      if (rewritten.length > 0) extra.push("x-lmstack-rewritten", headerList(rewritten));
      if (this.#noThink !== undefined) extra.push("x-lmstack-no-think", this.#noThink);
      if (droppedTools.length > 0) extra.push("x-lmstack-dropped-tools", headerList(droppedTools));
      if (slot !== undefined && slot.waitedMs >= 1)
        extra.push("x-lmstack-queued-ms", String(Math.round(slot.waitedMs)));
      return await this.#relay(route, up, extra, { ...this.#modelWork(route, calls), ...more });
    } finally {
      this.#instance.end();
      slot?.release();
    }
  }

  #upstreamRequest(chunks: readonly Buffer[]): UpstreamRequest {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const headers = requestHeaders(this.#request.rawHeaders, leftOutHeaders(this.#config, true));
    headers.push("content-length", String(length));
    return { method: this.#request.method ?? "POST", path: this.#target, headers, body: written(chunks, length) };
  }

  async #prepare(route: Route, caller: Caller): Promise<Prepared> {
    const request = this.#request;
    const encoding = request.headers["content-encoding"];
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") throw encodingFault(encoding);
    const body = await this.#readBody(route, caller);
    const wish = wishOf(this.#config.models, body.whole ? body.json.text("model") : undefined, switchOf(request));
    this.#wish = wish;
    if (route.endpoint !== undefined && wish.model === undefined) throw unnamedFault();
    if (!caller.unrestricted) {
      const fault = modelFault(caller, wish.model ?? "");
      if (fault !== undefined) throw fault;
    }
    const stream = body.json.find("stream");
    this.#stream = stream !== undefined && body.json.source(stream) === "true";
    const { endpoint } = route;
    if (endpoint === undefined || !body.whole) {
      const plan = () => renamedRequest(body.json, wish.model, this.#instance.choose(wish.model));
      return { plan, rewritten: [], droppedTools: [] };
    }
    const { codexTools, noThink } = this.#config;
    const asks = endpoint === "responses" ? holdsImages(body.json) : wish.thinking === "off";
    const found = asks ? this.#parts.catalog.find(wish.model) : undefined;
    const model = found instanceof Promise ? await found : found;
    const options = model?.reasoning;
    const strategy = this.#parts.strategies.strategy(noThink, wish.model, options);
    this.#strategy = strategy;
    if (wish.thinking === "off") this.#noThink = switchName({ endpoint, strategy, options });
    const search = this.#config.search && this.#parts.searcher;
    const previousId = this.#memory.names.ownOf(body.json.text("previous_response_id"));
    const facts = {
      previousId,
      endpoint,
      wish,
      strategy,
      options,
      codexTools,
      memo: this.#memory.requests,
      images: model?.vision,
      search,
    };
    const planned = (json: JsonBody, other: Partial<PlanFacts> = {}) =>
      planRequest(json, { ...facts, instance: this.#instance.choose(wish.model), ...other });
    const instance = this.#instance.pinned ?? this.#parts.instances.of(wish.model ?? "");
    // What is wrong with a request is told before it waits.
    const { chunks, ...first } = planRequest(body.json, { ...facts, instance });
    this.#rewritten = first.rewritten;
    const again = () => (this.#instance.choose(wish.model) === instance ? chunks : planned(body.json).chunks);
    const plan = { ...first, plan: again };
    const rounds = this.#rounds(plan.calls, (items) => planned(continuedRequest(body.json, items)).chunks);
    const mayPrefill = noThink === "auto" && endpoint === "chat" && wish.thinking === "off" && strategy.prefill;
    if (!mayPrefill || body.json.find("messages")?.elements?.at(-1)?.role === "assistant") return { ...plan, rounds };
    return { ...plan, instead: this.#withoutPrefill(() => planned(body.json, { strategy: effortAlone }).chunks) };
  }

  /** A prefill that LM Studio does not take is the proxy's fault, not the client's: the request is asked again without it, once. */
  #withoutPrefill(chunks: () => Buffer[]): AnswerWork["instead"] {
    return (refusal) => {
      const model = this.#wish?.model;
      if (model === undefined || this.#strategy?.prefill !== true) return undefined;
      if (!this.#parts.strategies.refusedPrefill(model, refusal)) return undefined;
      this.#strategy = effortAlone;
      this.#parts.log.warn({ model }, "LM Studio takes no prefill for this model: its thoughts are cut out instead");
      return this.#upstreamRequest(chunks());
    };
  }

  /** How an answer goes on whose model searched the web. Such a request keeps its prompt while it is answered. */
  #rounds(calls: CallTable | undefined, next: (items: readonly unknown[]) => Buffer[]): Rounds | undefined {
    const { search } = this.#config;
    const origin = [...(calls?.origins.values() ?? [])].find(({ kind }) => kind === "web-search");
    if (search === undefined || origin?.kind !== "web-search") return undefined;
    return new SearchLoop({
      searcher: this.#parts.searcher,
      config: search,
      settings: origin.settings,
      requestId: this.#id,
      request: (items) => this.#upstreamRequest(next(items)),
      onDefect: (err) => this.#parts.log.error({ requestId: this.#id, err }, "a search failed inside the proxy"),
    });
  }

  async #readBody(route: Route, caller: Caller): Promise<ArrivedBody> {
    this.#continue();
    const mayPass = route.endpoint === undefined && caller.unrestricted;
    const body = await readJsonBody(this.#request, this.#config.limits, mayPass);
    this.#requestBytes = body.json.chunks.length;
    this.#body = body.json;
    return body;
  }

  /** Only now: a client that asked first has not sent a body that nobody wants. */
  #continue(): void {
    if (this.#request.headers.expect !== undefined) this.#response.writeContinue();
  }

  async #slot(caller: Caller) {
    const { headers } = this.#request;
    const response = this.#response;
    const model = this.#wish?.model ?? "*";
    const told = isDeclared(this.#config.models, model) ? this.#parts.catalog.update(model) : undefined;
    if (told !== undefined) await told;
    if (response.destroyed) throw new ClientGone("the client went away before its request was passed on");
    const place = this.#parts.admission.enter({
      model,
      key: caller.id,
      low: lowPriority(headers),
      thread: threadOf(headers),
    });
    const slot = await slotOf(place, response);
    this.#queueMs = slot.waitedMs;
    return slot;
  }

  #relay(route: Route, up: UpstreamRequest, extra: readonly string[], work: AnswerWork): Promise<Outcome> {
    const { observer, upstream, origin } = this.#parts;
    if (this.#response.destroyed) throw new ClientGone("the client went away before its request was passed on");
    this.#down = new Downstream({
      request: this.#request,
      response: this.#response,
      dialect: route.dialect,
      requestId: this.#id,
      model: this.#wish?.model ?? "",
      extraHeaders: ["x-lmstack-request-id", this.#id, ...extra],
      heartbeatForm: this.#stream ? formOf(route) : undefined,
      heartbeatMs: this.#config.heartbeatSeconds * 1_000,
      onHeartbeat: () => observer.heartbeat(),
    });
    return relay(upstream, origin, up, this.#down, work);
  }

  #modelWork(route: Route, calls: CallTable | undefined): AnswerWork {
    const form = formOf(route);
    const { observer } = this.#parts;
    const model = this.#wish?.model;
    // A long stream must not keep its prompt; what LM Studio refuses may be looked into.
    const onAnswer = (status: number) => {
      if (status < 400) this.#body = undefined;
    };
    const { rename } = this.#instance;
    if (form === undefined) return { onAnswer, rename };
    const work: AnswerWork = {
      onAnswer,
      rename,
      meter: (stream) => new AnswerMeter(form, stream),
      onGap: (ms) => observer.gap(model, ms),
      onStream: (open) => observer.stream(open),
    };
    const answer = new ModelAnswer(form, {
      cutsThoughts: this.#wish?.thinking === "off",
      completes: this.#config.codexTools === "translate",
      translation: calls && this.#translation(calls),
    });
    this.#answer = answer;
    return { ...work, ...answer.work, isDeclared: isDeclared(this.#config.models, model ?? "*") };
  }

  #translation(calls: CallTable) {
    const { contextLength } = this.#config.models[this.#wish?.model ?? ""] ?? {};
    return { calls, responseId: `resp_${this.#id}`, toldId: () => this.#down?.toldId, contextLength };
  }

  #failed(error: unknown): Outcome {
    if (error instanceof ClientGone) return { kind: "client-gone", stream: this.#stream, retried: false };
    const fault = error instanceof Fault ? error : internalFault(error, this.#id);
    if (fault.code === "internal_error")
      this.#parts.log.error({ requestId: this.#id, err: error }, "a request failed inside the proxy");
    const response = this.#response;
    if (response.headersSent) response.destroy();
    else answerFault(this.#request, response, fault, dialectOf(this.#path), ["x-lmstack-request-id", this.#id]);
    return { kind: "failed", fault, stream: this.#stream, retried: false };
  }

  #record({ kind, fault, firstTokenAt, tokens, stream, retried }: Outcome): RequestRecord {
    const now = performance.now();
    const leaks = this.#answer?.leaks ?? 0;
    const { repairs, names } = this.#answer?.translator ?? {};
    if (names !== undefined) this.#memory.names.remember(names.told, names.own);
    const model = this.#wish?.model;
    const chat = this.#label.endsWith("/chat/completions") && this.#wish?.thinking === "off";
    if (chat && model !== undefined && this.#strategy !== undefined && (leaks > 0 || (tokens?.reasoning ?? 0) > 0))
      this.#parts.strategies.thought(model, this.#strategy);
    const durationMs = now - this.#started;
    return {
      requestId: this.#id,
      at: Date.now() - durationMs,
      method: this.#request.method ?? "",
      path: this.#path,
      endpoint: this.#label,
      ...(model === undefined ? {} : { model }),
      ...(this.#caller === undefined ? {} : { key: this.#caller.id }),
      status: this.#response.headersSent ? this.#response.statusCode : 0,
      outcome: kind,
      ...(fault === undefined ? {} : { code: fault.code, message: fault.message }),
      stream,
      durationMs,
      ...(this.#queueMs === undefined ? {} : { queueMs: this.#queueMs }),
      ...(firstTokenAt === undefined ? {} : { firstTokenMs: firstTokenAt - this.#started }),
      ...(tokens === undefined ? {} : { tokens }),
      requestBytes: this.#requestBytes,
      responseBytes: this.#down?.bytes ?? 0,
      rewritten: this.#rewritten,
      leaks,
      ...(repairs === undefined || repairs.size === 0 ? {} : { repairs }),
      retried,
    };
  }
}

function formOf({ form }: Route): AnswerForm | undefined {
  return form === "embeddings" ? undefined : form;
}

/** Only then it matters whether the model can see. */
function holdsImages(body: JsonBody): boolean {
  return body.find("input")?.elements?.some(({ images }) => images) === true;
}
