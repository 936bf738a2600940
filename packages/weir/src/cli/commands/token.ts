import { durationMs } from "@weir/contract";
import type { Duration } from "@weir/contract";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { CommonOptions, TokenOptions } from "../program.ts";
import { renderTable } from "../table.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

/** Makes a token and prints it, which is the only time that it is shown. With --json: `{token, info}`. */
export async function tokenCreate(
  terminal: Terminal,
  name: string,
  options: TokenOptions,
): Promise<ExitCode> {
  const lifeMs = options.expires === undefined ? undefined : durationMs(options.expires satisfies Duration);
  const made = await withEngine(terminal, options, (backend) =>
    backend.createToken(name, options.role, lifeMs),
  );
  result(terminal, made, () => {
    const until = made.info.expiresAt === null ? "until it is revoked" : `until ${made.info.expiresAt}`;
    return `${made.token}\n\nRole ${made.info.role}, good ${until}. It is not shown again.`;
  });
  return exitCodes.ok;
}

/** Lists tokens by name. With --json: `{tokens: [{name, role, createdAt, expiresAt}]}`. */
export async function tokenList(terminal: Terminal, options: CommonOptions): Promise<ExitCode> {
  const tokens = await withEngine(terminal, options, (backend) => backend.tokens());
  result(terminal, { tokens }, () => {
    if (tokens.length === 0) return "No tokens.";
    const rows = tokens.map(({ name, role, createdAt, expiresAt }) => [name, role, createdAt, expiresAt]);
    return renderTable(terminal, ["NAME", "ROLE", "CREATED", "EXPIRES"], rows);
  });
  return exitCodes.ok;
}

/** Takes a token back at once. With --json: `{revoked}`. */
export async function tokenRevoke(
  terminal: Terminal,
  name: string,
  options: CommonOptions,
): Promise<ExitCode> {
  await withEngine(terminal, options, (backend) => backend.revokeToken(name));
  result(terminal, { revoked: name }, () => `Token ${name} is revoked.`);
  return exitCodes.ok;
}
