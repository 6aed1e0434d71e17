import { runSql } from '../../test/cluster.js';
import type { Bench } from '../harness/bench.js';
import { commandOf, type PgbenchAs, type PgbenchLoad, tpsUnderLoad } from '../harness/pgbench.js';
import { startPgbouncer } from '../harness/pgbouncer.js';
import { PASSING } from '../harness/proxies.js';
import { startRingferry } from '../harness/ringferry.js';
import type { Comparison, Scenario } from '../harness/scenario.js';
import { contendersOf, type Targets } from '../harness/target.js';

const CLIENTS = 8;
const POOL = 20;
const PASSWORD = 'bench';
const database = 'postgres';
const CERTIFICATES = new URL('../../test/fakes/certificates/', import.meta.url).pathname;
const TLS = { key: `${CERTIFICATES}server.key`, cert: `${CERTIFICATES}server.crt` };

const LOGINS: Readonly<Record<string, PgbenchAs>> = {
  'trusted, no TLS': { env: { PGSSLMODE: 'disable' } },
  'SCRAM-SHA-256, no TLS': { user: 'app', env: { PGPASSWORD: PASSWORD, PGSSLMODE: 'disable' } },
  'SCRAM-SHA-256 over TLS': { user: 'app', env: { PGPASSWORD: PASSWORD, PGSSLMODE: 'require' } },
};

export const churn: Scenario = {
  name: 'churn',
  title: 'Connections that come and go',
  about: `Connect, log in, one statement, leave: \`pgbench -S -C\` with ${CLIENTS} clients. The proxies keep their backends.`,
  programs: ['pgbench', 'pgbouncer'],
  async setUp(bench) {
    const targets = await startTargets(bench);
    const comparisons = Object.entries(LOGINS).map(([name, as]) => compare(bench, targets, name, as));
    return { comparisons };
  },
};

async function startTargets(bench: Bench): Promise<Targets> {
  const server = await bench.servers.postgres();
  // Both keep what the server keeps of a password, so that neither has to compute it for each login.
  const [role] = await runSql(
    server.url(),
    'DROP ROLE IF EXISTS app',
    `CREATE ROLE app PASSWORD '${PASSWORD}'`,
    "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'",
  );
  const verifier = String(role!['rolpassword']);
  return {
    PgBouncer: await startPgbouncer(bench, {
      serverPort: server.port,
      database,
      poolSize: POOL,
      passwords: { app: verifier },
      tls: TLS,
    }),
    [PASSING]: await startRingferry(bench, {
      shards: { a: server.url() },
      database,
      pool: { size: POOL },
      users: [
        { name: 'postgres', auth: 'trust' },
        { name: 'app', scram: verifier },
      ],
      config: { tls: TLS },
    }),
  };
}

function compare(bench: Bench, targets: Targets, name: string, as: PgbenchAs): Comparison {
  const load: PgbenchLoad = {
    clients: CLIENTS,
    seconds: bench.options.seconds,
    script: 'select',
    reconnects: true,
  };
  return {
    name,
    figure: { label: 'connections/s', decimals: 0, cpuPer: 'connection' },
    command: commandOf(load),
    peer: 'PgBouncer',
    contenders: contendersOf(targets, (target) => tpsUnderLoad(target, load, as)),
  };
}
