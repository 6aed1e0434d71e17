import { OperatingError } from '../lib/errors.js';
import { ServerFailure } from '../pool/backend.js';
import type { ShardName } from '../topology/ring.js';
import type { Frontend } from './frontend.js';

/** What a client is told when a backend was lost under its statement. `isUncertain`: it may have been done. */
export function lostConnection(shard: ShardName, cause: Error, isUncertain: boolean): OperatingError {
  if (isUncertain) {
    return new OperatingError(
      'outcome-unknown',
      `the connection to shard "${shard}" was lost while a write was running`,
      {
        detail: cause.message,
        hint: 'Look whether it was done before sending it again.',
        cause,
      },
    );
  }
  return new OperatingError('shard-unavailable', `the connection to shard "${shard}" was lost`, {
    detail: cause.message,
    cause,
  });
}

/** Ends a client whose one backend was lost, with the server's own last words where it said any. */
export function endAsServer(frontend: Frontend, shard: ShardName, error: Error): void {
  const words = error.cause instanceof ServerFailure ? error.cause.serverError.frame : undefined;
  if (words !== undefined) frontend.send(words);
  frontend.end(words === undefined ? lostConnection(shard, error, false) : undefined);
}
