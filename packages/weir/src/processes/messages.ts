import type { ErrorCode } from "@weir/contract";
import { WeirError, errorCodes } from "@weir/contract";
import type { CaptureStatus } from "@weir/capture";
import type { TlsFiles } from "@weir/collect";
import type { LogFormat } from "./logger.ts";

/** A WeirError as it crosses a process or HTTP boundary. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly where?: string;
  readonly remedy?: string;
}

export interface CollectorSettings {
  readonly kind: "collector";
  readonly projectFile: string;
  readonly dataDir: string;
  /** Name of the stream this collector writes in every source; no two live collectors share one. */
  readonly writer: string;
  readonly engineSocket: string;
  readonly url: string;
  readonly tls?: TlsFiles | undefined;
}

export interface EngineSettingsMessage {
  readonly kind: "engine";
  readonly projectFile: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly engineSocket: string;
  /** The collectors listen on a loopback address only. */
  readonly localOnly: boolean;
}

export interface CaptureSettings {
  readonly kind: "capture";
  readonly projectFile: string;
  readonly dataDir: string;
  readonly source: string;
}

export interface CheckerSettings {
  readonly kind: "checker";
  readonly projectFile: string;
}

/** Supervisor to child. `start` comes first and once; for a collector the listening socket travels with it. */
export type ToChild =
  | {
      readonly type: "start";
      readonly name: string;
      readonly logFormat: LogFormat;
      readonly settings: CollectorSettings | EngineSettingsMessage | CaptureSettings | CheckerSettings;
    }
  | { readonly type: "drain"; readonly timeoutMs: number }
  | { readonly type: "stop" };

/** What a project declares, for people: `weir check`, `weir up` and `weir dev` print it. */
export interface ProjectSummary {
  readonly name: string;
  readonly file: string;
  readonly sources: readonly {
    readonly name: string;
    readonly kind: string;
    readonly contracts: string[];
    /** Whether a process of its own captures it. */
    readonly pulled: boolean;
  }[];
  readonly contracts: readonly { readonly name: string; readonly version: string; readonly owner: string }[];
  readonly tables: readonly { readonly name: string; readonly kind: string }[];
}

/** Child to supervisor. */
export type FromChild =
  | { readonly type: "ready" }
  | { readonly type: "drained"; readonly error?: PlainError }
  /** What a capture says of its source. */
  | { readonly type: "status"; readonly status: CaptureStatus }
  | { readonly type: "failed"; readonly error: PlainError }
  /** It asks to be stopped and started again. */
  | { readonly type: "restart"; readonly why: string }
  | {
      readonly type: "checked";
      /** Files of the user that the project was loaded from, also when loading failed. */
      readonly files: readonly string[];
      readonly summary?: ProjectSummary;
      readonly error?: PlainError;
    };

/** Anything thrown, as a plain error; what is not a WeirError is a defect of ours and says `internal_error`. */
export function toPlainError(error: unknown): PlainError {
  if (isWeirError(error)) return error.toJSON();
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "internal_error", message: text, remedy: errorCodes.internal_error.remedy };
}

/** The WeirError a plain error was made from; a code of a newer Weir becomes `process_failed` with the same text. */
export function fromPlainError(plain: PlainError): WeirError {
  const known = Object.hasOwn(errorCodes, plain.code);
  return new WeirError(
    known ? (plain.code as ErrorCode) : "process_failed",
    known ? plain.message : `${plain.code}: ${plain.message}`,
    {
      ...(plain.where === undefined ? {} : { where: plain.where }),
      ...(plain.remedy === undefined ? {} : { remedy: plain.remedy }),
    },
  );
}

/**
 * True for a WeirError of any copy of Weir: a project may resolve "weir" to another copy than the command's, so
 * `instanceof` alone would call its errors defects of ours.
 */
export function isWeirError(error: unknown): error is WeirError {
  if (error instanceof WeirError) return true;
  return (
    error instanceof Error &&
    error.name === "WeirError" &&
    typeof (error as Partial<WeirError>).code === "string" &&
    typeof (error as Partial<WeirError>).toJSON === "function"
  );
}
