// The instants are those of the kernel's clock, which Node cannot ask for.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import { linesOf, SDK, skip } from "./support.mjs";

const CLOCK = JSON.stringify(SDK.replace("index.js", "clock.js"));

/** What the kernel says that lies between its two clocks, and what the SDK says, both in nanoseconds. */
function distances(...prefix) {
  const program = `
    import json, subprocess, sys, time
    node = "const { now } = require(${CLOCK.replaceAll('"', '\\"')}); now(); const at = now();" \
        "console.log(JSON.stringify([Number(at.ns - process.hrtime.bigint()), Number(at.error)]))"
    told = json.loads(subprocess.run([sys.argv[1], "-e", node], capture_output=True, check=True, text=True).stdout)
    print(json.dumps([time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC), *told]))
  `.replace(/^ {4}/gm, "");
  const [file, ...args] = [...prefix, "python3", "-c", program, process.execPath];
  const [truth, told, error] = JSON.parse(execFileSync(file, args, { encoding: "utf8" }));
  return { truth, told, error };
}

// Between the two questions that Node asks for `distances`, in nanoseconds.
const ASKING = 1_000_000;

test("on a machine that never slept they are exact", async (context) => {
  const { truth, told, error } = distances();
  // Two calls lie between the two clocks.
  if (truth > 1_000_000) return skip(context, "this machine has slept since it was started");
  assert.equal(error, 0);
  assert.ok(Math.abs(told - truth) < ASKING, `${told} ${truth}`);
  const lines = await linesOf(`argus.span("t", {}, () => {});`);
  assert.ok(lines.every((line) => !("err_ns" in line)));
});

test("on one that slept, they are within the error that they tell", (context) => {
  const slept = ["unshare", "--time", "--boottime", "1000", "--fork"];
  const { status, error: missing } = spawnSync(slept[0], [...slept.slice(1), "true"]);
  if (missing || status !== 0) return skip(context, "unshare makes no time namespace here");
  const { truth, told, error } = distances(...slept);
  assert.ok(truth > 999e9, `${truth}`);
  assert.ok(error > 0 && error <= 10_000_000, `${error}`);
  assert.ok(Math.abs(told - truth) <= error + ASKING, `${told} ${truth} ${error}`);
});
