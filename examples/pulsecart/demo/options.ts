import { parseArgs } from "node:util";

export interface DemoOptions {
  /** Ends by itself after this time of traffic; undefined runs until Ctrl-C. */
  readonly forMs: number | undefined;
  /** Records a second, about. */
  readonly rate: number;
  readonly port: number;
  readonly keep: boolean;
  /** Whether there is a store on PostgreSQL beside the clients. */
  readonly store: boolean;
  readonly dataDir: string | undefined;
  readonly seed: number;
}

export const usage = `npm run demo -- [options]

  --for <time>        end after so much traffic, such as 20s or 5m (default: until Ctrl-C)
  --rate <n>          records a second, about (default: 1200)
  --port <port>       port to accept records on (default: any free one)
  --no-store          without the store on PostgreSQL, its payments, files and log lines
  --keep              keep the data, to look at it afterwards
  --data-dir <folder> where the data goes (default: examples/pulsecart/.weir-demo)
  --seed <n>          another seed is another shop (default: 1)

The exit code is 0 only if weir verify passes and the tables hold exactly what the clients sent and what the
store's own database says.`;

/** @returns the options, or what is wrong with the arguments as a string */
export function parseOptions(args: readonly string[]): DemoOptions | string {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        for: { type: "string" },
        rate: { type: "string", default: "1200" },
        port: { type: "string", default: "0" },
        keep: { type: "boolean", default: false },
        "no-store": { type: "boolean", default: false },
        "data-dir": { type: "string" },
        seed: { type: "string", default: "1" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    return (error as Error).message;
  }
  if (values.help) return "";
  const forMs = values.for === undefined ? undefined : timeMs(values.for);
  const rate = whole(values.rate, 1, 20_000);
  const port = whole(values.port, 0, 65_535);
  const seed = whole(values.seed, 0, 4_294_967_295);
  if (Number.isNaN(forMs)) return `--for ${values.for} is no time; write 20s or 5m.`;
  if (rate === undefined) return "--rate must be a whole number from 1 to 20000.";
  if (port === undefined) return "--port must be a whole number from 0 to 65535.";
  if (seed === undefined) return "--seed must be a whole number from 0 to 4294967295.";
  return {
    forMs,
    rate,
    port,
    keep: values.keep,
    store: !values["no-store"],
    dataDir: values["data-dir"],
    seed,
  };
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

function timeMs(text: string): number {
  const [, count, unit = ""] = /^(\d{1,6})(ms|s|m|h)$/.exec(text) ?? [];
  return count === undefined ? Number.NaN : Number(count) * (unitMs[unit] ?? Number.NaN);
}

function whole(text: string, low: number, high: number): number | undefined {
  const number = Number(text);
  return /^\d+$/.test(text) && number >= low && number <= high ? number : undefined;
}
