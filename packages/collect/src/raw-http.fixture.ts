import { once } from "node:events";
import { type Socket, connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Opens a connection, lets `send` write to it, and returns the answers that came (interim ones too) once there are `count` of them or the
 * server closed it. For what no HTTP client would send.
 */
export async function exchange(
  port: number,
  send: string | Buffer | ((socket: Socket) => unknown),
  count = 1,
): Promise<{ answers: RawAnswer[]; closed: boolean }> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  let received = Buffer.alloc(0);
  let closed = false;
  const done = new Promise<void>((resolve) => {
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (parseAnswers(received).length >= count) resolve();
    });
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        closed = true;
        resolve();
      });
    }
  });
  if (typeof send === "function") void send(socket);
  else socket.write(send);
  await done;
  socket.destroy();
  return { answers: parseAnswers(received), closed };
}

function parseAnswers(bytes: Buffer): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let at = 0;
  for (;;) {
    const headEnd = bytes.indexOf("\r\n\r\n", at);
    if (headEnd < 0) return answers;
    const [statusLine = "", ...lines] = bytes.toString("latin1", at, headEnd).split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.indexOf(":")).toLowerCase(),
        line.slice(line.indexOf(":") + 1).trim(),
      ]),
    );
    const bodyEnd = headEnd + 4 + Number(headers["content-length"] ?? 0);
    if (bytes.length < bodyEnd) return answers;
    answers.push({
      status: Number(statusLine.split(" ")[1]),
      headers,
      body: bytes.toString("utf8", headEnd + 4, bodyEnd),
    });
    at = bodyEnd;
  }
}
