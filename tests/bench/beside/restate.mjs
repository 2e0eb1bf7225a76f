// A service of steps that do nothing but be durable, for others.py.
import * as restate from "@restatedev/restate-sdk";
import { appendFileSync } from "node:fs";

// The SDK wants this of a newer node than Debian 12's.
Promise.withResolvers ??= () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

const [port, ran] = process.argv.slice(2);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const steps = restate.service({
  name: "steps",
  handlers: {
    run: async (ctx, n) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += await ctx.run(`step ${i}`, () => i);
      return sum;
    },
    sleep: async (ctx, ms) => { await ctx.sleep(ms); },
    cut: async (ctx, ms) => {
      await ctx.run("first", () => 1);
      await ctx.run("cut", async () => { appendFileSync(ran, "ran\n"); await pause(ms); return 2; });
      return await ctx.run("last", () => 3);
    },
  },
});
restate.serve({ services: [steps], port: Number(port) });
