import { type Backend, type ServerError, ServerFailure } from '../pool/backend.js';

/** Runs statements whose rows nobody wants, in one write; rejects with the first error. */
export function runTogether(backend: Backend, statements: readonly string[]): Promise<void> {
  const last = statements.at(-1);
  if (last === undefined) return Promise.resolve();
  if (statements.length === 1) return backend.run(last);
  return new Promise((resolve, reject) => {
    let failure: ServerError | undefined;
    backend.query(
      { sql: last },
      {
        onColumns: () => {},
        onRow: () => true,
        onCommandTag: () => {},
        onError: (error) => {
          failure ??= error;
        },
        onEnd: () => (failure === undefined ? resolve() : reject(new ServerFailure(failure))),
        onBroken: reject,
      },
      statements.slice(0, -1),
    );
  });
}

/** Rolls a transaction back: what stands before the last word may have been done already. */
export async function runAllOf(backend: Backend, statements: readonly string[]): Promise<void> {
  for (const sql of statements.slice(0, -1)) {
    await backend.run(sql).catch((thrown: unknown) => {
      if (!(thrown instanceof ServerFailure)) throw thrown;
    });
  }
  await backend.run(statements.at(-1)!);
}
