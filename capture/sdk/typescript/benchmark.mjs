// What the SDK costs, in microseconds: the medians of five runs of each. Usage: npm run build && node benchmark.mjs

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const [SPANS, SWITCHES, RUNS] = [5_000, 20_000, 5];

async function measure() {
  const argus = await import("./dist/index.js");
  const call = argus.tool("t", (a) => a);
  const task = async () => {
    for (let turn = 0; turn < SWITCHES / 2; turn++) await null;
  };
  const both = (work) => Promise.all([work(), work()]);
  const works = [
    ["a span", SPANS, () => { for (let number = 0; number < SPANS; number++) call(number); }],
    ["a switch, no span open", SWITCHES, () => both(task)],
    ["a switch within one span", SWITCHES, () => argus.span("agent", { kind: "agent" }, () => both(task))],
    ["a switch between spans", SWITCHES, () => both(argus.tool("task", task))],
  ];
  for (const [name, count, work] of works) {
    const times = [];
    for (let run = 0; run < RUNS; run++) {
      const begin = process.hrtime.bigint();
      await work();
      times.push(Number(process.hrtime.bigint() - begin) / count / 1e3);
    }
    console.log(`  ${name.padEnd(30)} ${times.sort((a, b) => a - b)[RUNS >> 1].toFixed(2).padStart(7)}`);
  }
}

async function main() {
  if (process.argv.length > 2) return measure();
  const program = fileURLToPath(import.meta.url);
  const run = (env) =>
    new Promise((ended) => spawn(process.execPath, [program, "measure"], { env, stdio: "inherit" }).on("exit", ended));
  const { ARGUS_SOCKET, ARGUS_SPAN_LOG, ...env } = process.env;
  console.log("without a capture");
  await run(env);
  const folder = mkdtempSync(join(tmpdir(), "argus-"));
  const server = createServer((connection) => connection.resume());
  const path = join(folder, "s");
  await new Promise((listening) => server.listen(path, listening));
  console.log("with a capture");
  await run({ ...env, ARGUS_SOCKET: path });
  server.close();
  rmSync(folder, { recursive: true });
}

await main();
