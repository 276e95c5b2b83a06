// Runs a small agent in a process of its own, and reads what it sent.

import { execFile } from "node:child_process";
import { appendFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const SDK = join(dirname(dirname(fileURLToPath(import.meta.url))), "dist", "index.js");

/** A folder that is there while `body` runs. */
export async function inFolder(body) {
  const folder = await mkdtemp(join(tmpdir(), "argus-"));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Skips a test, and has `make test` name it at its end. */
export function skip(context, reason) {
  if (process.env.ARGUS_SKIPS) appendFileSync(process.env.ARGUS_SKIPS, `${context.name}: ${reason}\n`);
  context.skip(reason);
}

/** Runs a program text with the SDK as `argus`; what it prints, and how it ended. */
export function run(program, environment = {}, { module = false } = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(ARGUS|TRACEPARENT|NODE_TEST)/.test(name));
  const env = { ...Object.fromEntries(inherited), ...environment };
  const argus = module ? `import * as argus from ${JSON.stringify(SDK)};` : `const argus = require(${JSON.stringify(SDK)});`;
  const type = module ? "module" : "commonjs";
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [`--input-type=${type}`, "--eval", `${argus}\n${program}`],
      { env, timeout: 60_000 },
      (error, stdout, stderr) => resolve({ code: error ? (error.code ?? error.signal) : 0, pid: child.pid, stdout, stderr }),
    );
  });
}

/** What a program sends to a capture; the program must succeed. */
export function linesOf(program, environment = {}, options = {}) {
  return inFolder(async (folder) => {
    const path = join(folder, "spans.sock");
    const texts = [];
    const server = createServer((connection) => {
      const chunks = [];
      connection.on("data", (chunk) => chunks.push(chunk));
      texts.push(new Promise((done) => connection.on("close", () => done(Buffer.concat(chunks).toString()))));
    });
    await new Promise((listening) => server.listen(path, listening));
    const ended = await run(program, { ARGUS_SOCKET: path, ...environment }, options);
    await new Promise((closed) => server.close(closed));
    if (ended.code !== 0 || ended.stderr !== "") throw new Error(`the agent failed: ${JSON.stringify(ended)}`);
    const lines = (await Promise.all(texts)).flatMap((text) => text.split("\n").filter(Boolean));
    return lines.map((line) => JSON.parse(line));
  });
}

export const ofType = (lines, type) => lines.filter((line) => line.type === type);

/** By name: the start and end lines of each span. */
export function spans(lines) {
  const ends = new Map(ofType(lines, "end").map((line) => [line.span, line]));
  return Object.fromEntries(ofType(lines, "start").map((line) => [line.name, [line, ends.get(line.span)]]));
}

/** The names that each thread was marked for, in order; null for no span. */
export function marked(lines) {
  const names = new Map(ofType(lines, "start").map((line) => [line.span, line.name]));
  const threads = new Map();
  for (const line of ofType(lines, "mark")) {
    const key = `${line.pid}/${line.tid}`;
    threads.set(key, [...(threads.get(key) ?? []), names.get(line.span) ?? null]);
  }
  return threads;
}
