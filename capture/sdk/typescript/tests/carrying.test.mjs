// Asynchronous calls that overlap are told apart, and programs and worker threads find the span.

import assert from "node:assert/strict";
import { test } from "node:test";
import { linesOf, marked, ofType, spans } from "./support.mjs";

test("overlapping calls in one thread are told apart", async () => {
  const lines = await linesOf(`
    const { setTimeout: sleep } = require("timers/promises");
    const { readFile } = require("fs/promises");
    const a = argus.tool("A", async () => { for (let i = 0; i < 5; i++) { await sleep(1); await readFile("/dev/null"); } });
    const b = argus.tool("B", async () => { for (let i = 0; i < 5; i++) { await sleep(1); await null; } });
    Promise.all([a(), b()]);
  `);
  const [names] = marked(lines).values();
  assert.equal(names.at(-1), null);
  assert.ok(names.filter((name) => name === "A").length > 5 && names.filter((name) => name === "B").length > 5);
  // Between two callbacks the thread works for none: no mark of one call reaches into the next.
  for (const [index, name] of names.slice(1).entries()) assert.ok(name === null || names[index] === null, `${names}`);
});

test("a call that gave way leaves no mark behind", async () => {
  const lines = await linesOf(`
    argus.tool("A", () => new Promise(() => {}))();
    // Killed while nothing runs: only what was sent before counts.
    setTimeout(() => process.kill(process.pid, "SIGKILL"), 50);
    setTimeout(() => {}, 1e6);
  `.replace("process.kill(process.pid, \"SIGKILL\")", "process.reallyExit(0)"));
  assert.deepEqual([...marked(lines).values()], [["A", null]]);
});

test("the announcement is out before the work", async () => {
  const lines = await linesOf(`argus.span("A", {}, () => process.reallyExit(0));`);
  assert.deepEqual(lines.map((line) => line.type), ["start", "mark"]);
});

test("every sort of callback works for the call that asked for it", async () => {
  const lines = await linesOf(`
    const { createServer, connect } = require("net");
    const sorts = {
      timer: (call) => setTimeout(call, 1),
      immediate: (call) => setImmediate(call),
      tick: (call) => process.nextTick(call),
      microtask: (call) => queueMicrotask(call),
      promise: (call) => Promise.resolve().then(call),
      file: (call) => require("fs").readFile("/dev/null", call),
      program: (call) => require("child_process").execFile("true", call),
      socket: (call) => {
        const server = createServer((other) => other.end()).listen(0, () => {
          connect(server.address().port).on("close", () => { call(); server.close(); }).resume();
        });
      },
    };
    (async () => {
      for (const [name, ask] of Object.entries(sorts)) {
        let other;
        await argus.span("A", {}, () => new Promise((done) => {
          // Another call comes in between.
          argus.span("B", {}, () => new Promise((end) => (other = end)));
          ask(() => { argus.span(name, {}, () => {}); done(); });
        }));
        other();
      }
    })();
  `);
  const named = new Map(ofType(lines, "start").map((line) => [line.span, line]));
  const [names] = marked(lines).values();
  for (const { name, parent } of named.values()) {
    if (name === "A" || name === "B") continue;
    assert.deepEqual([name, named.get(parent).name, names[names.indexOf(name) - 1]], [name, "A", "A"]);
  }
  assert.equal(named.size, 24);
});

test("callbacks within callbacks go back to the outer one", async () => {
  const lines = await linesOf(`
    const { AsyncResource } = require("async_hooks");
    let inA;
    argus.span("A", {}, () => { inA = new AsyncResource("mine"); return new Promise((done) => setTimeout(done, 20)); });
    argus.span("B", {}, async () => {
      await null;
      inA.runInAsyncScope(() => argus.span("C", {}, () => {}));
      argus.span("D", {}, () => {});
    });
  `);
  const named = spans(lines);
  assert.deepEqual([named.C[0].parent, named.D[0].parent], [named.A[0].span, named.B[0].span]);
  const [names] = marked(lines).values();
  const inner = names.indexOf("C");
  assert.deepEqual(names.slice(inner - 1, inner + 5), ["A", "C", "A", "B", "D", "B"]);
});

test("an error that ends a callback ends its mark", async () => {
  const lines = await linesOf(`
    process.on("uncaughtException", () => {});
    argus.span("A", {}, () => new Promise((done) => setTimeout(() => { done(); throw new Error("loose"); }, 1)));
    setTimeout(() => argus.span("B", {}, () => {}), 20);
  `);
  const [names] = marked(lines).values();
  assert.deepEqual(names.slice(-3), [null, "B", null]);
});

const SHOW = `[process.execPath, ["--eval", "process.stdout.write(process.env.TRACEPARENT || 'none')"]]`;

for (const module of [false, true]) {
  test(`programs find the span in their environment (${module ? "import" : "require"})`, async () => {
    const lines = await linesOf(
      `
      ${module ? `import assert from "assert"; import * as cp from "child_process"; import { execFileSync } from "child_process";` : `const assert = require("assert"); const cp = require("child_process"); const { execFileSync } = cp;`}
      const [node, args] = ${SHOW};
      const command = [node, ...args.map((text) => "'" + text.replace(/'/g, '"') + "'")].join(" ");
      const out = (child) => new Promise((done) => {
        let text = "";
        child.stdout.on("data", (data) => (text += data)).on("end", () => done(text));
      });
      const ways = {
        spawn: () => out(cp.spawn(node, args)),
        spawnOwn: () => out(cp.spawn(node, args, { env: { TRACEPARENT: "own" } })),
        exec: () => out(cp.exec(command)),
        execFile: () => out(cp.execFile(node, args)),
        fork: () => out(cp.fork("/dev/null", [], { silent: true, execArgv: args })),
        spawnSync: () => cp.spawnSync(node, args).stdout.toString(),
        spawnSyncOptions: () => cp.spawnSync(node, args, { encoding: "utf8", env: process.env }).stdout,
        execSync: () => cp.execSync(command).toString(),
        execFileSync: () => execFileSync(node, args, undefined).toString(),
        execFileSyncOwn: () => execFileSync(node, args, { env: { TRACEPARENT: "own" } }).toString(),
      };
      (async () => {
        for (const [name, way] of Object.entries(ways)) {
          const before = await way();
          await argus.span("A", {}, async (span) => {
            const own = name.endsWith("Own");
            assert.deepEqual([name, before, await way()], [name, own ? "own" : "none", own ? "own" : span.traceparent]);
          });
        }
        assert.equal(process.env.TRACEPARENT, undefined);
      })();
      `,
      {},
      { module },
    );
    assert.equal(ofType(lines, "end").length, 10);
  });
}

test("a worker thread works for the span that started it", async () => {
  const lines = await linesOf(`
    const { Worker } = require("worker_threads");
    const work = "const argus = require(" + JSON.stringify(${JSON.stringify(new URL("../dist/index.js", import.meta.url).pathname)}) + ");" +
      "argus.span('B', {}, () => {});";
    argus.span("A", {}, () => new Promise((done) => new Worker(work, { eval: true }).on("exit", done)));
  `);
  const { A, B } = spans(lines);
  assert.deepEqual([B[0].parent, B[0].trace, B[0].pid], [A[0].span, A[0].trace, A[0].pid]);
  assert.notEqual(B[0].tid, A[0].tid);
  assert.deepEqual(marked(lines).get(`${B[0].pid}/${B[0].tid}`), ["A", "B", "A"]);
});

test("nobody knows for whom a worker thread works that listens for messages", async () => {
  const argus = JSON.stringify(new URL("../dist/index.js", import.meta.url).pathname);
  for (const listen of ["parentPort.on('message', serve)", "parentPort.onmessage = ({ data }) => serve(data)"]) {
    const lines = await linesOf(`
      const { Worker } = require("worker_threads");
      const work = \`const argus = require(${argus}); const { parentPort } = require("worker_threads");
        function serve(name) {
          const { status } = require("child_process").spawnSync("sh", ["-c", "[ -z $TRACEPARENT ]"]);
          argus.span(name, {}, () => {});
          parentPort.postMessage(status);
        }
        ${listen};\`;
      (async () => {
        const worker = await argus.span("A", {}, () => new Worker(work, { eval: true }));
        const ask = (name) => new Promise((done) => { worker.once("message", done); worker.postMessage(name); });
        const status = await argus.span("B", {}, () => ask("inner"));
        await worker.terminate();
        if (status !== 0) throw new Error("it was handed a span");
      })();
    `);
    const { A, inner } = spans(lines);
    assert.equal(inner[0].parent, null);
    const marks = ofType(lines, "mark").filter((line) => line.tid === inner[0].tid);
    assert.deepEqual(
      marks.map(({ span, how }) => [span, how]),
      [[A[0].span, "inherited"], [null, "unsure"], [inner[0].span, undefined], [null, "unsure"]],
    );
  }
});
