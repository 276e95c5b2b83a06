/** The two things that lines can be written to: the capture's socket and a file. Both are written to at once. */

import { closeSync, constants, fstatSync, openSync, statSync, writeSync } from "node:fs";
import { connect, type Socket } from "node:net";

/** Where lines go. `send` gives how much was taken, which may be nothing, and throws when nobody reads any more. */
export interface Sink {
  send(data: Buffer): number;
  close(): void;
}

/** What a descriptor says that takes nothing just now. */
const BUSY = new Set(["EAGAIN", "EWOULDBLOCK"]);

function write(descriptor: number, data: Buffer): number {
  try {
    return writeSync(descriptor, data);
  } catch (error) {
    if (BUSY.has((error as NodeJS.ErrnoException).code ?? "")) return 0;
    throw error;
  }
}

/** A connection of this process's own, so that the kernel names it as the author of what it sends. */
class SocketSink implements Sink {
  private readonly socket: Socket;
  private readonly descriptor: number;
  private failure: NodeJS.ErrnoException | undefined;

  constructor(path: string) {
    // The kernel connects a Unix socket at once, and then takes what is written to its descriptor; Node's own `write`
    // would only reach it when the work that the line announces is over.
    this.socket = connect({ path });
    this.socket.on("error", (error: NodeJS.ErrnoException) => (this.failure = error));
    this.socket.on("close", () => (this.failure ??= new Error("the capture ended")));
    this.socket.unref();
    const handle = (this.socket as unknown as { _handle?: { fd?: number } })._handle;
    this.descriptor = handle?.fd ?? -1;
    if (this.descriptor < 0) {
      this.socket.destroy();
      throw new Error("the socket has no descriptor");
    }
  }

  send(data: Buffer): number {
    // Closed by Node meanwhile, its descriptor may be another file's.
    if (this.failure || this.socket.destroyed) throw this.failure ?? new Error("the capture ended");
    try {
      return write(this.descriptor, data);
    } catch (error) {
      // Not connected. Why not, Node tells later: EAGAIN is a queue of connections that is full just now.
      if ((error as NodeJS.ErrnoException).code === "ENOTCONN") return 0;
      throw error;
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A file that several processes may append to, one write a line. */
class FileSink implements Sink {
  private readonly descriptor: number;

  constructor(path: string) {
    // Not waiting, and not through a pipe: it could make the agent wait.
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NONBLOCK;
    this.descriptor = openSync(path, flags, 0o600);
    if (!fstatSync(this.descriptor).isFile()) {
      this.close();
      throw new Error(`${path} is not a file`);
    }
  }

  send(data: Buffer): number {
    return write(this.descriptor, data);
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

/** The socket, or else the file. */
export function openSink(socketPath: string | undefined, filePath: string | undefined): Sink {
  if (socketPath) {
    try {
      // Told by Node only later, when the first lines would be lost to the file.
      if (!statSync(socketPath).isSocket()) throw new Error(`${socketPath} is not a socket`);
      return new SocketSink(socketPath);
    } catch (error) {
      if (!filePath) throw error;
    }
  }
  if (!filePath) throw new Error("no capture is named");
  return new FileSink(filePath);
}
