import type { Node } from '@pgsql/types';
import { OperatingError } from '../lib/errors.js';
import type { SqlParser } from '../sql/postgres-parser.js';
import type { Keyspace } from '../topology/keyspace.js';
import { completePlan } from './draft.js';
import type { Plan } from './plan.js';
import { pinReason, planSession } from './postgres-session-plan.js';
import { leavesNoTrace } from './postgres-traceless.js';
import { verbOf } from './postgres-verb.js';
import { paceOfText } from './traceless-text.js';

const READS = /^\(*\s*(select|values|table)\b/i;
const PLAIN = /^\(*\s*(select|values|table|insert|update|delete|merge)\b/i;
/** Words without which those statements leave nothing in the session. */
const SESSION_WORDS = /advisory|set_config|\binto\s+(local\s+|global\s+)?temp/i;

/** What a statement does to the transaction and the session; what the parser does not know passes. */
export function passThroughPlan(sql: string, template: string, parser: SqlParser, keyspace: Keyspace): Plan {
  if (PLAIN.test(template) && !SESSION_WORDS.test(template)) {
    const verb = /^\(*\s*(\w+)/.exec(template)![1]!.toUpperCase();
    const isRead = READS.test(template);
    return completePlan(verb, {
      placement: { type: 'home' },
      access: isRead ? 'read' : 'write',
      ...(isRead ? paceOfText(sql, parser, (select) => leavesNoTrace(select, keyspace)) : {}),
    });
  }
  let node: Node | undefined;
  try {
    node = parser.parse(sql)[0]?.stmt;
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
  }
  if (node === undefined) return completePlan('', { placement: { type: 'home' }, access: 'write' });
  const reason = pinReason(node);
  const { transaction, session } = factsOf(node);
  return completePlan(verbOf(node, sql), {
    placement: { type: 'home' },
    access: transaction === undefined && session === undefined ? 'write' : 'none',
    transaction,
    session: session ?? (reason === undefined ? undefined : { type: 'pin', reason }),
  });
}

function factsOf(node: Node): Pick<Plan, 'transaction' | 'session'> {
  try {
    const draft = planSession(node);
    return { transaction: draft?.transaction, session: draft?.session };
  } catch (error) {
    // Refused in a sharded database (PREPARE TRANSACTION); here it passes.
    if (error instanceof OperatingError) return { transaction: undefined, session: undefined };
    throw error;
  }
}
