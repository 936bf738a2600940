import { exitCodes } from "../exit-code.ts";
import type { ExitCode } from "../exit-code.ts";
import type { Supervisor } from "../processes/supervisor.ts";

/**
 * Lives as long as an instance: until SIGTERM, SIGINT or SIGHUP stops it, or it stops by itself. A second signal while
 * it stops ends every process at once; nothing acknowledged is lost by that.
 *
 * @param work what to do meanwhile; the instance goes on when it resolves
 * @throws what `work` throws, and the WeirError that stopped the instance; it has stopped in both cases
 */
export async function untilSignal(supervisor: Supervisor, work: () => Promise<void>): Promise<ExitCode> {
  let signals = 0;
  let stopped: (code: ExitCode) => void;
  const finished = new Promise<ExitCode>((resolve, reject) => {
    stopped = resolve;
    const onSignal = (): void => {
      signals += 1;
      if (signals === 1) {
        supervisor.stop().then(() => stopped(signals > 1 ? exitCodes.interrupted : exitCodes.ok), reject);
        return;
      }
      supervisor.kill();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
    supervisor.failed.catch(reject);
    work().catch((error: unknown) => {
      supervisor.stop({ drain: false }).then(() => reject(error as Error), reject);
    });
  });
  return await finished;
}
