import { OperatingError, unsupported } from '../lib/errors.js';
import type { PreparedStatement, Request, Step } from '../pool/request.js';
import type { ParameterValues, Plan } from '../routing/plan.js';
import type { KeyType } from '../topology/keyspace.js';

type Bind = Extract<Step, { type: 'bind' }>;

/** The steps of an extended request up to and with one Execute, or what is left behind the last. */
export interface Unit {
  readonly steps: readonly Step[];
  readonly execute: Extract<Step, { type: 'execute' }> | undefined;
}

/** Cuts a request behind each Execute. */
export function unitsOf(steps: readonly Step[]): Unit[] {
  const units: Unit[] = [];
  let from = 0;
  steps.forEach((step, index) => {
    if (step.type !== 'execute') return;
    units.push({ steps: steps.slice(from, index + 1), execute: step });
    from = index + 1;
  });
  if (from < steps.length) units.push({ steps: steps.slice(from), execute: undefined });
  return units;
}

/**
 * Can these steps go to one backend as they are? Only `[Parse] [Describe S] Bind [Describe P] Execute` of one statement and
 * portal, or an Execute alone of a portal that lives there.
 */
export function isRelayable(unit: Unit, isPortalThere: boolean): boolean {
  const { execute, steps } = unit;
  if (execute === undefined) return false;
  const bind = steps.find((step): step is Bind => step.type === 'bind');
  if (bind === undefined)
    return isPortalThere && steps.every((step) => step.type === 'execute' || step.type === 'describe-portal');
  return bind.portal === execute.portal && steps.every((step) => concerns(step, bind, execute.portal));
}

function concerns(step: Step, bind: Bind, portal: string): boolean {
  switch (step.type) {
    case 'parse':
      return step.prepared.name === bind.statementName;
    case 'describe-statement':
      return step.statementName === bind.statementName;
    case 'bind':
      return step === bind;
    case 'describe-portal':
    case 'execute':
      return step.portal === portal;
    default:
      return false;
  }
}

/** The client has not said that it sends several statements at once, which keeps injected ones out. */
export function severalStatements(): OperatingError {
  return new OperatingError('unsupported-syntax', 'this client may send only one statement at a time', {
    hint: 'Turn on several statements in the driver (mysql2: multipleStatements; connectors: allowMultiQueries).',
  });
}

/** Text in another encoding than UTF-8 would be routed by what it seems to be. */
export function refuseForeignText(sql: string, bytes: Buffer, writesUtf8: boolean): void {
  // Two letters of another character set may be one of UTF-8.
  if (writesUtf8 ? !sql.includes('\ufffd') || bytes.includes(sql) : isAscii(sql)) return;
  throw unsupported(
    'a statement that is not UTF-8 on a sharded database',
    'Set the client’s character set to UTF-8 (Postgres: client_encoding; MySQL: utf8mb4).',
  );
}

/** A key in another character set would be looked for where what it seems to be is. */
export function refuseForeignKey(plan: Plan, parameters: ParameterValues): void {
  const { placement } = plan;
  if (placement.type !== 'keys' && placement.type !== 'rows') return;
  if (!TEXT_KEYS.has(placement.keyType)) return;
  for (const set of parameters.sets ?? []) refuseForeignKey(plan, set);
  for (const source of placement.type === 'keys' ? placement.keys : placement.rows) {
    const bytes = source.type === 'parameter' ? parameters.bytes(source.index) : undefined;
    if (bytes?.some((byte) => byte > 0x7f) !== true) continue;
    throw unsupported(
      'a shard key that is not UTF-8',
      'Set the client’s character set to UTF-8 (MySQL: utf8mb4).',
    );
  }
}

const TEXT_KEYS: ReadonlySet<KeyType> = new Set<KeyType>(['text', 'bpchar', 'text-ci']);

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/** The values of the first execution. */
export function boundIn(steps: readonly Step[]): ParameterValues | undefined {
  for (const step of steps) if (step.type === 'bind') return step.parameters;
  return undefined;
}

export function parsedIn(unit: Unit): PreparedStatement | undefined {
  const parse = unit.steps.find((step) => step.type === 'parse');
  return parse?.type === 'parse' ? parse.prepared : undefined;
}

/**
 * The Bind of a request that is one whole execution and leaves nothing behind: `[Parse] Bind [Describe] Execute Sync` with unnamed
 * statement, where it is parsed here, and unnamed portal, which ends with the Sync.
 */
export function wholeExecution({ steps, end }: Request): Bind | undefined {
  if (end !== 'sync') return undefined;
  let at = 0;
  const parse = steps[at]?.type === 'parse' ? steps[at++] : undefined;
  const bind = steps[at++];
  if (bind?.type !== 'bind' || bind.portal !== '') return undefined;
  if (parse?.type === 'parse' && (parse.prepared.name !== '' || bind.statementName !== '')) return undefined;
  if (steps[at]?.type === 'describe-portal') at++;
  const execute = steps[at++];
  if (execute?.type !== 'execute' || execute.portal !== '' || execute.maxRows !== 0) return undefined;
  return at === steps.length ? bind : undefined;
}
