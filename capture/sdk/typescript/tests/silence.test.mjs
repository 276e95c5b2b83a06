// The agent never notices: not without a capture, not when it dies, not when it does not read.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder, linesOf, ofType, run, SDK } from "./support.mjs";

async function check(program, environment) {
  const ended = await run(program, environment);
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, "done\n", ""]);
}

test("without a capture nothing is wrapped", () =>
  check(
    `
    const cp = require("child_process");
    argus.span("t", {}, (span) => require("assert").equal(span.traceparent, ""));
    for (const wrapped of [cp.ChildProcess.prototype.spawn, cp.spawnSync, require("worker_threads").Worker])
      require("assert").doesNotMatch(wrapped.toString(), /carried|envPairs.filter/);
    console.log("done");
    `,
    {},
  ));

test("nobody at the socket", () =>
  inFolder(async (folder) => {
    const program = `
      const call = argus.tool("t", async () => require("child_process").execFileSync("true"));
      (async () => { for (let i = 0; i < 3; i++) await call(); console.log("done"); })();
    `;
    await check(program, { ARGUS_SOCKET: join(folder, "none") });
    await check(program, { ARGUS_SPAN_LOG: join(folder, "no", "log") });
    // The socket's name is still there; who listened is not.
    const server = spawn(process.execPath, [
      "--eval",
      `require("net").createServer().listen(${JSON.stringify(join(folder, "s"))}, () => process.reallyExit(0))`,
    ]);
    await new Promise((ended) => server.on("exit", ended));
    await check(program, { ARGUS_SOCKET: join(folder, "s") });
  }));

test("a capture that dies", () =>
  inFolder(async (folder) => {
    const path = join(folder, "s");
    const server = createServer((connection) => connection.on("error", () => {}).destroy());
    await new Promise((listening) => server.listen(path, listening));
    await check(
      `
      const { wire } = require(${JSON.stringify(SDK.replace("index.js", "wire.js"))});
      const call = argus.tool("later", async () => {});
      (async () => { while (wire.listening) await call(); console.log("done"); })();
      `,
      { ARGUS_SOCKET: path },
    );
    server.close();
  }));

test("a capture that does not read; losses are told when it does", () =>
  inFolder(async (folder) => {
    const path = join(folder, "s");
    let connected;
    const connection = new Promise((found) => (connected = found));
    const server = createServer({ pauseOnConnect: true }, connected);
    await new Promise((listening) => server.listen(path, listening));
    const program = `
      const argus = require(${JSON.stringify(SDK)});
      const { wire } = require(${JSON.stringify(SDK.replace("index.js", "wire.js"))});
      while (!wire.lost) argus.span("t", { args: { x: "y".repeat(10000) } }, () => {});
      require("assert").ok(wire.queue.length <= 4 * 1024 * 1024);
      console.log("full");
      // Until all that is queued has been taken.
      const waiting = setInterval(() => { if (!wire.queue.length && !wire.lost) clearInterval(waiting); }, 1);
    `;
    const agent = spawn(process.execPath, ["--eval", program], { env: { ...process.env, ARGUS_SOCKET: path } });
    await new Promise((full) => agent.stdout.once("data", full));
    const chunks = [];
    const reader = await connection;
    reader.on("data", (chunk) => chunks.push(chunk)).resume();
    await new Promise((ended) => reader.on("end", ended));
    server.close();
    const lines = Buffer.concat(chunks).toString().trim().split("\n").map((line) => JSON.parse(line));
    const lost = ofType(lines, "lost");
    assert.equal(lost.length, 1);
    assert.equal(lines.at(-1), lost[0]);
    assert.ok(lost[0].count > 0 && lost[0].from_boot_ns <= lost[0].boot_ns);
    // One clean gap: all that came is from before it.
    assert.ok(lines.slice(0, -1).every((line) => line.boot_ns <= lost[0].from_boot_ns));
  }));

