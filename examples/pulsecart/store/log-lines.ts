import { SeverityNumber } from "@opentelemetry/api-logs";
import type { LogAttributes, Logger } from "@opentelemetry/api-logs";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";

export const logsKey = "demo-logs";

export type Severity = "INFO" | "WARN" | "ERROR";

interface Line {
  readonly severity: Severity;
  readonly body: string;
  readonly attributes: LogAttributes;
  readonly at: number;
}

/** The store's own log, sent by OpenTelemetry's SDK as OTLP over HTTP. Lines of the time before Weir is there wait. */
export class LogLines {
  #provider: LoggerProvider | undefined;
  #logger: Logger | undefined;
  #waiting: Line[] = [];
  readonly #counts: Record<Severity, number> = { INFO: 0, WARN: 0, ERROR: 0 };

  /** Lines by severity. */
  get counts(): Readonly<Record<Severity, number>> {
    return this.#counts;
  }

  log(severity: Severity, body: string, attributes: LogAttributes = {}): void {
    this.#counts[severity] += 1;
    const line = { severity, body, attributes, at: Date.now() };
    if (this.#logger === undefined) this.#waiting.push(line);
    else this.#emit(this.#logger, line);
  }

  /** @param url Weir's */
  open(url: string): void {
    const headers = { authorization: `Bearer ${logsKey}` };
    const exporter = new OTLPLogExporter({ url: `${url}/v1/logs`, headers, timeoutMillis: 60_000 });
    this.#provider = new LoggerProvider({
      resource: resourceFromAttributes({
        "service.name": "store",
        "service.version": "4.2.0",
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "store-7d9f4-x2x9q",
      }),
      processors: [
        new BatchLogRecordProcessor({
          exporter,
          scheduledDelayMillis: 500,
          exportTimeoutMillis: 60_000,
          // What is beyond it would be lost without a word.
          maxQueueSize: 100_000,
        }),
      ],
    });
    this.#logger = this.#provider.getLogger("store");
    for (const line of this.#waiting.splice(0)) this.#emit(this.#logger, line);
  }

  async close(): Promise<void> {
    await this.#provider?.shutdown();
  }

  #emit(logger: Logger, { severity, body, attributes, at }: Line): void {
    logger.emit({
      timestamp: at,
      severityNumber: SeverityNumber[severity],
      severityText: severity,
      body,
      attributes,
    });
  }
}
