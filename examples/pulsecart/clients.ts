/**
 * The clients of PulseCart, in a process of their own: four programs with the SDKs that such programs have, and the
 * simulated shop that gives them something to say. Started by demo.ts, ends with it.
 */
import { App } from "./clients/app.ts";
import { InventoryService } from "./clients/inventory-service.ts";
import { Ledger, Wire } from "./clients/ledger.ts";
import type { ClientsOptions, FromClients, ToClients } from "./clients/messages.ts";
import { Network } from "./clients/network.ts";
import { OrderService } from "./clients/order-service.ts";
import { pause } from "./clients/sender.ts";
import { WebShop } from "./clients/web-shop.ts";
import type { Message } from "./shop/message.ts";
import { Random } from "./shop/random.ts";
import { Shop } from "./shop/shop.ts";

const tickMs = 50;
const reportEveryMs = 250;
/** The longest step of the clock: a machine that was asleep goes on where it was. */
const longestStepMs = 500;
/** With so many seconds' worth of messages unacknowledged the shop's clock waits. */
const longestBacklogS = 5;

const tell = (message: FromClients): void => {
  if (process.connected) process.send?.(message);
};

function createSenders(url: string, acknowledged: (message: Message) => void) {
  const options = (writeKey: string) => ({ url, writeKey, acknowledged });
  const web = new WebShop(options("demo-web"));
  const mobile = new App(options("demo-mobile"));
  const orders = new OrderService(options("demo-orders"));
  const inventory = new InventoryService(options("demo-inventory"));
  const all = [web, mobile, orders, inventory];
  return {
    send(message: Message): void {
      if (message.client === "orders") orders.send(message);
      else if (message.client === "inventory") inventory.send(message);
      else if (message.client === "web") web.send(message);
      else mobile.send(message);
    },
    pending: (): number => all.reduce((sum, sender) => sum + sender.pending, 0),
    flush: async (): Promise<void> => void (await Promise.all(all.map((sender) => sender.flush()))),
  };
}

async function main(options: ClientsOptions): Promise<void> {
  const { url, seed, opensAt, rate, speed, patienceMs } = options;
  const wire = new Wire();
  const ledger = new Ledger();
  const network = new Network(url, wire, new Random(seed + 1));
  const senders = createSenders(await network.open(), (message) => ledger.acknowledged(message));
  const shop = new Shop({ seed, opensAt, messagesPerMinute: (rate * 60) / speed });
  const send = (message: Message): void => {
    wire.expect(message);
    senders.send(message);
  };
  const stop = new AbortController();
  process.on("message", ({ type }: ToClients) => {
    if (type === "stop") stop.abort();
  });

  let shopTime = opensAt;
  const report = (): void =>
    tell({ type: "progress", shopTime, acknowledged: wire.records, pending: senders.pending() });
  const reporting = setInterval(report, reportEveryMs);
  for (let before = performance.now(); !stop.signal.aborted;) {
    const now = performance.now();
    if (senders.pending() < rate * longestBacklogS) {
      shopTime += Math.min(now - before, longestStepMs) * speed;
      for (const message of shop.advance(shopTime)) send(message);
    }
    before = now;
    await pause(tickMs);
  }
  for (const message of shop.close()) send(message);
  await Promise.race([senders.flush(), pause(patienceMs)]);
  clearInterval(reporting);
  report();
  tell({ type: "ledger", ledger: ledger.close(senders.pending(), wire.counts()) });
  network.close();
}

// Without its parent nobody reads what is sent here.
process.on("disconnect", () => process.exit(0));
await main(JSON.parse(process.argv[2] ?? "{}") as ClientsOptions);
process.disconnect?.();
