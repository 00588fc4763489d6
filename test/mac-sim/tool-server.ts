/** Whoever plays the Mac answers its commands here: words as JSON in, a reply as JSON out (`tool.mjs`). */
import { createServer, type Server } from "node:net";
import { z } from "zod";
import type { Reply } from "./reply.ts";

export const toolServer = (answer: (words: readonly string[]) => Reply): Server =>
  createServer({ allowHalfOpen: true }, (connection) => {
    let words = "";
    connection.setEncoding("utf8").on("data", (chunk: string) => {
      words += chunk;
    });
    connection.on("end", () => connection.end(JSON.stringify(answer(z.array(z.string()).parse(JSON.parse(words))))));
  });
