/**
 * Tells Argus which tool call an agent is in.
 *
 * Without a capture that listens (`ARGUS_SOCKET` or `ARGUS_SPAN_LOG` in the environment) nothing is done at all.
 * Nothing here ever throws into the agent, waits for the capture, or changes what the wrapped code gives or throws.
 */

import { install } from "./carry.js";

install();

export { agent, llm, span, step, tool, type Wrap } from "./make.js";
export type { Declares, Kind, Span, Told } from "./spans.js";
