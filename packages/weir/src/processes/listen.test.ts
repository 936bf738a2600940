import net from "node:net";
import { describe, expect, test } from "vitest";
import { bindShared } from "./listen.ts";

describe("shared socket", () => {
  test("a port that is listened on is refused", async () => {
    const other = net.createServer();
    await new Promise<void>((resolve) => {
      other.listen(0, "127.0.0.1", resolve);
    });
    const { port } = other.address() as net.AddressInfo;
    await expect(bindShared("127.0.0.1", port)).rejects.toMatchObject({
      code: "port_in_use",
      where: `127.0.0.1:${port}`,
    });
    other.close();
  });

  test("an address that is not this machine's is refused", async () => {
    await expect(bindShared("192.0.2.1", 0)).rejects.toMatchObject({ code: "address_unavailable" });
  });

  test("the url is one that clients on this machine can use", async () => {
    for (const [host, expected] of [
      ["127.0.0.1", /^http:\/\/127\.0\.0\.1:\d+$/],
      ["0.0.0.0", /^http:\/\/127\.0\.0\.1:\d+$/],
      ["localhost", /^http:\/\/(127\.0\.0\.1|\[::1\]):\d+$/],
    ] as const) {
      const shared = await bindShared(host, 0);
      expect(shared.url).toMatch(expected);
      const server = net.createServer((socket) => socket.end("hello"));
      await new Promise<void>((resolve) => {
        server.listen(shared.handle, resolve);
      });
      const client = net.connect({
        host: new URL(shared.url).hostname.replace(/[[\]]/g, ""),
        port: shared.port,
      });
      const chunks: Buffer[] = [];
      for await (const chunk of client) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).toString()).toBe("hello");
      server.close();
    }
  });
});
