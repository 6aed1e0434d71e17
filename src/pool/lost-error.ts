import { OperatingError } from '../lib/errors.js';
import { type ServerError, ServerFailure } from './backend.js';

/** A connection to a shard that is gone; `words`: what the server said before it ended it. */
export function lostError(shard: string, words: ServerError | undefined, reason: string): OperatingError {
  const facts = words === undefined ? {} : { sqlstate: words.sqlstate, cause: new ServerFailure(words) };
  return new OperatingError(
    'shard-unavailable',
    `the connection to shard "${shard}" was lost: ${reason}`,
    facts,
  );
}
