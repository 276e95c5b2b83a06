// What a span says of a call, and that the call is none the wiser.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder, linesOf, marked, ofType, run, spans } from "./support.mjs";

test("a tool in an agent", async () => {
  const lines = await linesOf(`
    const add = argus.tool("add", ({ a, b }) => ({ sum: a + b }), { declares: { read: ["/x"] } });
    argus.span("assistant", { kind: "agent" }, () => { require("assert").equal(add({ a: 1, b: 2 }).sum, 3); });
  `);
  const { assistant, add } = spans(lines);
  const [start, end] = add;
  assert.deepEqual([start.kind, start.args, start.declares], ["tool", { a: 1, b: 2 }, { read: ["/x"] }]);
  assert.deepEqual([end.status, end.result], ["ok", { sum: 3 }]);
  assert.deepEqual([start.parent, start.trace, assistant[0].parent], [assistant[0].span, assistant[0].trace, null]);
  assert.match(start.span, /^[0-9a-f]{16}$/);
  assert.match(start.trace, /^[0-9a-f]{32}$/);
  assert.equal(start.pid, start.tid);
  assert.deepEqual([...marked(lines).values()], [["assistant", "add", "assistant", null]]);
  // The call has begun, and the thread is marked for it, before its first statement runs.
  assert.deepEqual(lines.slice(0, 4).map((line) => line.type), ["start", "mark", "start", "mark"]);
});

test("every form", async () => {
  const lines = await linesOf(`
    const assert = require("assert");
    const plain = argus.tool("plain", function plain(a, b) { return a + b; });
    const coroutine = argus.llm("model", async () => 2);
    const generator = argus.step("generator", function* () { assert.equal(yield 1, "sent"); return 3; });
    const stream = argus.tool("stream", async function* () { yield 1; yield 2; });
    const left = argus.tool("left", function* () { try { yield 1; } finally { argus.span("closing", {}, () => {}); } });
    const kit = { base: 5, method: argus.tool("method", function (x) { return this.base + x; }) };
    (async () => {
      assert.deepEqual([plain(1, 2), plain.name, plain.length], [3, "plain", 2]);
      assert.equal(await coroutine(), 2);
      const steps = generator();
      assert.equal(steps.next().value, 1);
      assert.deepEqual(steps.next("sent"), { value: 3, done: true });
      const seen = [];
      for await (const item of stream()) seen.push(item);
      assert.deepEqual(seen, [1, 2]);
      for (const _ of left()) break;
      assert.equal(kit.method(1), 6);
      await argus.span("block", { args: { a: 1 }, callId: "call-1" }, async (span) => { span.result = 7; });
    })();
  `);
  const named = spans(lines);
  const got = Object.entries(named).map(([name, [start, end]]) => [name, start.kind, end.status, end.result]);
  assert.deepEqual(got, [
    ["plain", "tool", "ok", 3],
    ["model", "llm", "ok", 2],
    ["generator", "step", "ok", 3],
    ["stream", "tool", "ok", undefined],
    ["left", "tool", "ok", undefined],
    ["closing", "tool", "ok", undefined],
    ["method", "tool", "ok", 6],
    ["block", "tool", "ok", 7],
  ]);
  assert.deepEqual(named.plain[0].args, [1, 2]);
  assert.deepEqual([named.block[0].args, named.block[0].call_id], [{ a: 1 }, "call-1"]);
  assert.equal(named.closing[0].parent, named.left[0].span);
});

test("errors pass through", async () => {
  const lines = await linesOf(`
    const assert = require("assert");
    const fails = argus.tool("fails", () => { throw new TypeError("no"); });
    const rejects = argus.tool("rejects", async () => { throw new Error("late"); });
    const aborted = argus.tool("aborted", async () => { AbortSignal.abort().throwIfAborted(); });
    (async () => {
      assert.throws(fails, { name: "TypeError", message: "no" });
      await assert.rejects(rejects(), { message: "late" });
      await assert.rejects(aborted(), { name: "AbortError" });
    })();
  `);
  const { fails, rejects, aborted } = spans(lines);
  assert.deepEqual([fails[1].status, fails[1].result], ["error", { error: "TypeError: no" }]);
  assert.deepEqual([rejects[1].status, rejects[1].result], ["error", { error: "Error: late" }]);
  assert.equal(aborted[1].status, "cancelled");
});

test("a rejection that nobody handles still ends the program", async () => {
  const ended = await run(`argus.tool("t", async () => { throw new Error("loose"); })();`, { ARGUS_SPAN_LOG: "/dev/null/none" });
  assert.equal(ended.code, 1);
  assert.match(ended.stderr, /loose/);
});

test("a promise with methods of its own goes to the caller as it is", async () => {
  const lines = await linesOf(`
    class Response extends Promise { text() { return this.then((value) => "text of " + value); } }
    const ask = argus.llm("ask", () => Response.resolve(1));
    ask().text().then((text) => require("assert").equal(text, "text of 1"));
  `);
  assert.equal(spans(lines).ask[1].result, 1);
});

test("values that JSON cannot hold, and the author's own methods", async () => {
  const lines = await linesOf(String.raw`
    const loop = []; loop.push(loop);
    let deep = []; for (let depth = 0; depth < 1000; depth++) deep = [deep];
    const values = {
      loop, deep, long: "x".repeat(100000), wide: new Array(1e6).fill(1), bytes: Buffer.alloc(1e7), half: "\ud800",
      nan: NaN, big: 10n ** 50n, symbol: Symbol("s"), getter: { get a() { throw new Error("getter"); } },
      json: { toJSON() { throw new Error("json"); } }, map: new Map([[{ a: 1 }, 2]]), set: new Set([1]),
      proxy: new Proxy({}, { ownKeys() { throw new Error("proxy"); } }), nothing: undefined, fine: { a: [1, null, true] },
    };
    for (const [name, value] of Object.entries(values)) argus.span(name, { args: { value } }, (span) => { span.result = value; });
    argus.tool({ toString() { throw new Error("name"); } }, () => {})();
  `);
  assert.equal(ofType(lines, "end").length, 17);
  const depth = (value) =>
    typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depth)) : 0;
  for (const line of lines) {
    assert.ok(depth(line) < 100);
    assert.ok(JSON.stringify(line).length < 100_000);
    assert.doesNotMatch(JSON.stringify(line), /\\ud800/);
  }
  assert.deepEqual(spans(lines).fine[0].args, { value: { a: [1, null, true] } });
});

test("a file takes the lines too, and an agent within an agent has its parent", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "log");
    const [trace, span] = ["4".repeat(32), "a".repeat(16)];
    const ended = await run("argus.span('t', {}, () => {});", {
      ARGUS_SPAN_LOG: path,
      TRACEPARENT: `00-${trace}-${span}-01`,
    });
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
    const lines = (await readFile(path, "utf8")).trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map((line) => line.type), ["start", "mark", "mark", "end"]);
    assert.deepEqual([lines[0].trace, lines[0].parent], [trace, span]);
  });
});
