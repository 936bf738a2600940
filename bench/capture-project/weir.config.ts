import { Type, date, decimal, defineProject, entity, env, postgres, timestamp } from "weir";

/** A table of a shop's database, mirrored. */
export default defineProject({
  name: "bench-capture",
  sources: { db: postgres({ url: env("BENCH_DB"), tables: ["public.orders"] }) },
  tables: {
    orders: entity({
      from: "db.public.orders",
      key: "id",
      columns: {
        id: Type.Integer(),
        customer_id: Type.Integer(),
        total: decimal({ precision: 12, scale: 2 }),
        status: Type.String(),
        placed_at: timestamp(),
        due: date(),
      },
    }),
  },
});
