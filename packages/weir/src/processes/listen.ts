import net from "node:net";
import type { TlsFiles } from "@weir/collect";
import { WeirError } from "@weir/contract";

/** A bound TCP socket that this process holds and never accepts from; children listen on it. */
export interface SharedSocket {
  /** Passed to a child with `child.send(message, handle)`. */
  readonly handle: net.Server;
  readonly host: string;
  readonly port: number;
  /** Where clients on this machine reach it, e.g. `http://127.0.0.1:8787`. */
  readonly url: string;
  /** Only this machine reaches it. */
  readonly localOnly: boolean;
  close(): void;
}

interface BoundHandle {
  getsockname(out: { address?: string; port?: number }): number;
  close(): void;
}

/**
 * Binds a host and port for children to listen on. While the supervisor holds the socket, the kernel completes and
 * queues connections even when no collector lives, so a collector's restart is a delay to its clients and not a refusal.
 *
 * `net._createServerHandle` is what node:cluster shares a port with (lib/internal/cluster/shared_handle.js). The ways
 * that are documented lose: a net.Server accepts connections in the supervisor too; node:cluster closes the port when
 * its last worker dies; SO_REUSEPORT, where there is one, loses the connections queued for a collector that dies.
 *
 * @param port 0 for any free one
 * @param tls its collectors speak HTTPS
 * @throws WeirError `port_in_use`, `address_unavailable`
 */
export async function bindShared(host: string, port: number, tls?: TlsFiles): Promise<SharedSocket> {
  const probed = await probe(host, port);
  const { _createServerHandle: bind } = net as unknown as {
    _createServerHandle(
      this: void,
      address: string,
      port: number,
      family: number,
      fd: number,
    ): BoundHandle | number;
  };
  const handle = bind(probed.address, probed.port, probed.family === "IPv6" ? 6 : 4, -1);
  if (typeof handle === "number") throw listenError("EADDRINUSE", host, port, handle);
  // libuv reports a port in use only on listen, and that report would be lost with the handle's way to the child,
  // which would then listen on a random port. The name tells: a socket that is not bound has port 0.
  const name: { port?: number } = {};
  handle.getsockname(name);
  if (name.port !== probed.port) {
    handle.close();
    throw listenError("EADDRINUSE", host, port, undefined);
  }
  const local = probed.address === "0.0.0.0" ? "127.0.0.1" : probed.address === "::" ? "::1" : probed.address;
  return {
    handle: handle as unknown as net.Server,
    host,
    port: probed.port,
    localOnly: isLoopback(probed.address),
    url: `${tls === undefined ? "http" : "https"}://${probed.family === "IPv6" ? `[${local}]` : local}:${probed.port}`,
    close: () => handle.close(),
  };
}

/** 127.0.0.0/8 (RFC 1122, section 3.2.1.3) or ::1 (RFC 4291, section 2.5.3). */
function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.");
}

/** Listens for a moment: the system's own word on whether the address is free and what "localhost" or port 0 became. */
async function probe(host: string, port: number): Promise<net.AddressInfo> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(listenError(error.code ?? "", host, port, error)),
    );
    server.listen({ host, port, exclusive: true }, resolve);
  });
  const address = server.address() as net.AddressInfo;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return address;
}

function listenError(code: string, host: string, port: number, cause: unknown): WeirError {
  const where = `${host}:${port}`;
  const because = cause === undefined ? {} : { cause };
  if (code === "EADDRINUSE") {
    return new WeirError("port_in_use", `Another process listens on port ${port} of ${host}.`, {
      where,
      ...because,
    });
  }
  return new WeirError("address_unavailable", `Cannot listen on ${where} (${code}).`, { where, ...because });
}
