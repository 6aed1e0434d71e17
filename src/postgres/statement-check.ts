import { type Backend, type ServerError, ServerFailure, type StatementDescription } from '../pool/backend.js';
import type { PreparedStatement, Request } from '../pool/request.js';
import { decodeError, encodeReport } from './backend-messages.js';
import { BACKEND } from './messages.js';
import type { ServerStatements } from './server-statements.js';

/**
 * A client's statement that was prepared on another backend and is not on this one: it must be what it was there before it
 * is used, because its tables may have changed since, and a server would refuse it then.
 */
export function statementToCheck(
  request: Request | undefined,
  statements: ServerStatements,
): PreparedStatement | undefined {
  for (const step of request?.steps ?? []) {
    if (step.type === 'parse') return undefined;
    if (step.type !== 'bind' && step.type !== 'describe-statement') continue;
    const { prepared } = step;
    if (prepared === undefined || prepared.name === '' || prepared.facts?.description === undefined) continue;
    if (statements.lacks(prepared)) return prepared;
  }
  return undefined;
}

/** Makes it here and looks at it; what is to be answered instead of running it, or undefined. */
export async function checkStatement(
  backend: Backend,
  prepared: PreparedStatement,
  statements: ServerStatements,
): Promise<ServerError | undefined> {
  try {
    if (isSameResult(await backend.describe(prepared), prepared.facts!.description!)) return undefined;
  } catch (thrown) {
    if (thrown instanceof ServerFailure) return thrown.serverError;
    throw thrown;
  }
  statements.drop(statements.nameOf(prepared));
  // The server's own refusal would have failed it.
  if (backend.transaction !== 'idle') await backend.run(FAIL_TRANSACTION).catch(() => undefined);
  return changedResult();
}

/** Servers compare names and types of the result's columns (plancache.c, equalTupleDescs). */
function isSameResult(one: StatementDescription, other: StatementDescription): boolean {
  if (one.columns === undefined || other.columns === undefined) return one.columns === other.columns;
  if (one.columns.length !== other.columns.length) return false;
  return one.columns.every((column, index) => {
    const { name, typeOid, typeModifier } = other.columns![index]!;
    return column.name === name && column.typeOid === typeOid && column.typeModifier === typeModifier;
  });
}

/** What a server says of a statement whose result has changed; drivers know it by the routine and prepare anew. */
function changedResult(): ServerError {
  const frame = encodeReport(BACKEND.ErrorResponse, {
    S: 'ERROR',
    V: 'ERROR',
    C: '0A000',
    M: 'cached plan must not change result type',
    R: 'RevalidateCachedQuery',
  });
  return decodeError(frame);
}

/** There is no such savepoint. */
const FAIL_TRANSACTION = 'ROLLBACK TO SAVEPOINT "ringferry: cached plan must not change result type"';
