/**
 * Points at which a test can kill this process as a power cut or the kernel would: `WEIR_FAILPOINT=name[:n]` sends
 * SIGKILL to the process when it passes `name` for the n-th time (the first, if n is not given).
 */
const [armedName, armedCount] = (process.env["WEIR_FAILPOINT"] ?? "").split(":");
let passesLeft = Number(armedCount ?? 1);

/** The steps of the log, in the order in which a segment passes them. */
export const logFailpoints = [
  "log.segment.created",
  "log.segment.listed",
  "log.append.before_write",
  "log.append.before_fsync",
  "log.append.after_fsync",
  "log.seal.before_marker",
  "log.seal.before_fsync",
  "log.seal.before_rename",
  "log.seal.after_rename",
  "log.seal.listed",
  "log.remove.before_floor",
  "log.remove.after_floor",
  "log.remove.after_unlink",
  "log.recover.before_cut",
  "log.recover.after_cut",
  "log.recover.before_unlink",
] as const;

/** Does nothing, at the cost of one comparison, unless this name was armed. */
export function failpoint(name: string): void {
  if (name !== armedName) return;
  passesLeft -= 1;
  if (passesLeft === 0) process.kill(process.pid, "SIGKILL");
}
