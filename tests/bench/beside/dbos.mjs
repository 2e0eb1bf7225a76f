// Workflows of steps that do nothing but be durable, for others.py. Prints one line of JSON when done.
//   dbos.mjs URL one STEPS | many RUNS STEPS | sleep RUNS | cut RAN MS | recover RAN
import { DBOS } from "@dbos-inc/dbos-sdk";
import { appendFileSync } from "node:fs";

const [url, what, ...words] = process.argv.slice(2);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (value) => console.log("beside " + JSON.stringify(value));

const run = DBOS.registerWorkflow(async (n) => {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += await DBOS.runStep(async () => i, { name: `step ${i}` });
  return sum;
}, { name: "run" });
const sleep = DBOS.registerWorkflow(async (ms) => { await DBOS.sleep(ms); }, { name: "sleep" });
const cut = DBOS.registerWorkflow(async (ran, ms) => {
  await DBOS.runStep(async () => 1, { name: "first" });
  await DBOS.runStep(async () => { appendFileSync(ran, "ran\n"); await pause(ms); return 2; }, { name: "cut" });
  return await DBOS.runStep(async () => 3, { name: "last" });
}, { name: "cut" });

async function finished(starts) {
  const begun = performance.now();
  const handles = await Promise.all(starts.map((start) => start()));
  await Promise.all(handles.map((handle) => handle.getResult()));
  return (performance.now() - begun) / 1000;
}

const verbs = {
  one: async (steps) => say({ seconds: await finished([() => DBOS.startWorkflow(run)(Number(steps))]) }),
  many: async (runs, steps) =>
    say({ seconds: await finished(Array(Number(runs)).fill(() => DBOS.startWorkflow(run)(Number(steps)))) }),
  sleep: async (runs) => {
    for (let i = 0; i < Number(runs); i += 50) {
      await Promise.all(Array(50).fill(0).map(() => DBOS.startWorkflow(sleep)(3600_000)));
    }
    say({ sleeping: Number(runs) });
    await pause(3600_000);
  },
  cut: async (ran, ms) => {
    await DBOS.startWorkflow(cut, { workflowID: "cut" })(ran, Number(ms));
    await pause(3600_000);
  },
  recover: async () => {
    await DBOS.retrieveWorkflow("cut").getResult();
    say({ finished: true });
  },
};

DBOS.setConfig({ name: "beside", systemDatabaseUrl: url, logLevel: "error", applicationVersion: "1", executorID: "one" });
await DBOS.launch();
await verbs[what](...words);
process.exit(0);
