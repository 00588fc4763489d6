/**
 * A site in which a file goes from host to host, by the product's own plan and its own choice of the next piece; links, disks and processors are simulated.
 * A link carries one piece after the other in each direction.
 */
import { PieceQueue } from "../../hostctl/transfer/piece-queue.ts";
import { pieceBytes } from "../../hostctl/transfer/pieces.ts";
import { type Member, planSpread } from "../../infra/fleet/distribution.ts";
import { Events } from "./events.ts";

export interface SiteOptions {
  readonly hosts: number;
  readonly bytes: number;
  /** In each direction. */
  readonly linkBytesPerSecond: number;
  /** How fast a host digests what came, and reads a file for its list of pieces. */
  readonly digestBytesPerSecond: number;
  /** From a request to the first byte of its answer. */
  readonly latencySeconds: number;
  /** Hosts that vanish in the middle, by index; hosts with a tenth of the link. */
  readonly vanishing: ReadonlySet<number>;
  readonly slow: ReadonlySet<number>;
}

export interface Spread {
  /** Until all that have the whole link have the file. */
  readonly seconds: number;
  /** What the origin sends, in whole files. */
  readonly originCopies: number;
  /** Most that one host sends, in whole files. */
  readonly mostSent: number;
  /** Hosts that have the file at the end, of those that are still there. */
  readonly served: number;
  readonly rounds: number;
}

class Node {
  readonly index: number;
  readonly linkBytesPerSecond: number;
  readonly vanishing: boolean;
  queue: PieceQueue;
  upFree = 0;
  downFree = 0;
  digestFree = 0;
  sent = 0;
  gone = false;
  there = new Set<number>();
  /** Who waits for a piece that has not come. */
  readonly held = new Map<number, (() => void)[]>();

  constructor(index: number, linkBytesPerSecond: number, vanishing: boolean, pieces: number) {
    this.index = index;
    this.linkBytesPerSecond = linkBytesPerSecond;
    this.vanishing = vanishing;
    this.queue = new PieceQueue(pieces, this.there, 1);
  }
}

/** As in `peers.ts`. */
const patience = 3;
const idleSeconds = 0.02;

export function simulate(options: SiteOptions): Spread {
  const { hosts, bytes, linkBytesPerSecond, digestBytesPerSecond, latencySeconds } = options;
  const pieces = Math.ceil(bytes / pieceBytes);
  const events = new Events();
  const nodes = Array.from({ length: hosts }, (_, index) => {
    const rate = options.slow.has(index) ? linkBytesPerSecond / 10 : linkBytesPerSecond;
    return new Node(index, rate, options.vanishing.has(index), pieces);
  });
  const nameOf = (index: number) => `box${index}`;
  const byName = new Map(nodes.map((node) => [nameOf(node.index), node]));
  let seconds = 0;

  const vanish = (node: Node) => {
    node.gone = true;
    for (const waiting of node.held.values()) for (const answer of waiting) answer();
    node.held.clear();
  };

  const arrive = (node: Node, piece: number) => {
    if (!node.queue.arrived(piece)) return;
    node.there.add(piece);
    for (const answer of node.held.get(piece) ?? []) answer();
    node.held.delete(piece);
    if (node.vanishing && node.there.size > pieces / 2) vanish(node);
    if (node.queue.done && !options.slow.has(node.index)) seconds = events.now;
  };

  /** One of the requests that a host has running, to one source. */
  const serve = (node: Node, source: Node, number: number, failures = 0): void => {
    if (failures === patience) node.queue.leaveOut(number);
    if (node.gone || node.queue.done || failures === patience) return;
    const piece = node.queue.next(number, events.now * 1000);
    if (piece === undefined) {
      events.at(events.now + idleSeconds, () => serve(node, source, number, failures));
      return;
    }
    const fail = () => {
      node.queue.failed(piece);
      serve(node, source, number, failures + 1);
    };
    const send = () => {
      if (source.gone) return fail();
      const leaves = Math.max(events.now, source.upFree) + pieceBytes / source.linkBytesPerSecond;
      source.upFree = leaves;
      // It comes while it is sent, as far as the receiver's link has nothing else to carry.
      const end = Math.max(leaves, node.downFree + pieceBytes / node.linkBytesPerSecond);
      node.downFree = end;
      source.sent += pieceBytes;
      const digested = Math.max(end, node.digestFree) + pieceBytes / digestBytesPerSecond;
      node.digestFree = digested;
      events.at(digested, () => {
        if (node.gone) return;
        arrive(node, piece);
        serve(node, source, number);
      });
    };
    events.at(events.now + latencySeconds, () => {
      if (source.gone) fail();
      else if (source.there.has(piece)) send();
      else source.held.set(piece, [...(source.held.get(piece) ?? []), send]);
    });
  };

  let originBytes = 0;
  let rounds = 0;
  for (; rounds < 3; rounds++) {
    const members = nodes
      .filter(({ gone }) => !gone)
      .map(
        (node): Member => ({
          ...{ host: nameOf(node.index), site: "", has: node.queue.done, urls: ["https://origin/file"], model: "m" },
          ...(options.slow.has(node.index) ? { bytesPerSecond: node.linkBytesPerSecond } : {}),
        }),
      );
    if (members.every(({ has }) => has)) break;
    const { origin, links } = planSpread(members);
    for (const node of origin.map((host) => byName.get(host) as Node)) {
      // Digested while it comes, then read once for the list.
      const rate = Math.min(node.linkBytesPerSecond, digestBytesPerSecond);
      events.now += latencySeconds + bytes / rate + bytes / digestBytesPerSecond;
      originBytes += bytes;
      node.there = new Set(Array.from({ length: pieces }, (_, index) => index));
      node.queue = new PieceQueue(pieces, node.there, 1);
    }
    for (const { host, from, spares } of links) {
      const node = byName.get(host) as Node;
      node.queue = new PieceQueue(pieces, node.there, from.length);
      for (const [number, source] of [...from, ...spares].entries()) serve(node, byName.get(source) as Node, number);
    }
    events.run();
  }
  const left = nodes.filter(({ gone }) => !gone);
  return {
    seconds,
    originCopies: originBytes / bytes,
    mostSent: Math.max(...nodes.map(({ sent }) => sent)) / bytes,
    served: left.filter(({ queue }) => queue.done).length / left.length,
    rounds,
  };
}
