import { buildWhenStale } from '../scripts/build-when-stale.js';

// npm run soak [-- cutovers | churn]: long runs that look for what only time shows; SOAK_MINUTES says how long (5).
const SOAKS = { cutovers: './soak-cutovers.js', churn: './soak-churn.js' } as const;

const [name = 'cutovers'] = process.argv.slice(2);
const found = SOAKS[name as keyof typeof SOAKS];
if (found === undefined) {
  process.stderr.write(`no such soak: ${name}; there are ${Object.keys(SOAKS).join(', ')}\n`);
  process.exit(2);
}
buildWhenStale((line) => process.stderr.write(`${line}\n`));
await import(found);
