/**
 * Carries the current span to the programs and worker threads that Node starts, by wrapping the few functions through
 * which that happens; only under a capture. What they return and throw stays as it was.
 */

import { syncBuiltinESMExports } from "node:module";
import { current } from "./current.js";
import { traceparent } from "./spans.js";
import { wire } from "./wire.js";

const inherited = process.env.TRACEPARENT;

type Environment = NodeJS.ProcessEnv;

/** A copy of an environment for a program of the current span. A carrier that the caller put there itself stays. */
function carried(given: Environment | undefined): Environment | undefined {
  const span = current();
  const environment = given ?? process.env;
  if (!span?.id || !wire.listening) return given;
  if (environment.TRACEPARENT !== undefined && environment.TRACEPARENT !== inherited) return given;
  return { ...environment, TRACEPARENT: traceparent(span) };
}

/** Every asynchronous way to start a program ends in this method, with the environment as `NAME=value`. */
function wrapSpawn(prototype: any): void {
  const spawn = prototype.spawn;
  prototype.spawn = function (options: any): unknown {
    const span = current();
    if (span?.id && wire.listening && Array.isArray(options?.envPairs)) {
      const name = "TRACEPARENT=";
      const others = options.envPairs.filter((pair: string) => pair !== name + inherited);
      if (!others.some((pair: string) => pair.startsWith(name))) {
        options = { ...options, envPairs: [...others, name + traceparent(span)] };
      }
    }
    return Reflect.apply(spawn, this, [options]);
  };
}

/** The synchronous ways, whose options come last. */
function wrapSync(module: any, name: string): void {
  const start = module[name];
  module[name] = function (file: unknown, ...rest: unknown[]): unknown {
    if (!current()?.id || !wire.listening) return start(file, ...rest);
    const last = rest.at(-1);
    const given = typeof last === "object" && last !== null && !Array.isArray(last);
    const options = given ? (last as { env?: Environment }) : {};
    const others = given ? rest.slice(0, -1) : rest.filter((argument) => argument !== undefined && argument !== null);
    return start(file, ...others, { ...options, env: carried(options.env) });
  };
}

/** A worker thread finds the span in its environment, and works for it. */
function wrapWorkers(module: any): void {
  const { Worker, SHARE_ENV } = module;
  module.Worker = class extends Worker {
    constructor(filename: unknown, options: any = {}) {
      const shared = options?.env === SHARE_ENV;
      super(filename, shared ? options : { ...options, env: carried(options?.env) });
    }
  };
  Object.defineProperty(module.Worker, "name", { value: "Worker", configurable: true });
}

/** Wraps all of that. */
export function install(): void {
  if (!wire.listening) return;
  try {
    const processes = require("node:child_process");
    wrapSpawn(processes.ChildProcess.prototype);
    for (const name of ["spawnSync", "execSync", "execFileSync"]) wrapSync(processes, name);
    wrapWorkers(require("node:worker_threads"));
    // What modules import by name is wrapped too.
    syncBuiltinESMExports();
  } catch {
    // A Node whose own modules are sealed goes without; the kernel's lineage still covers what it starts.
  }
}
