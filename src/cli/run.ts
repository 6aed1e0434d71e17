import { CommanderError } from 'commander';
import { OperatingError } from '../lib/errors.js';
import { CommandFailure, type Io, toJson } from './io.js';
import { createProgram } from './program.js';
import type { Signals } from './serve.js';

const USAGE_STATUS = 2;

/** Runs one command line (without the program's name) and returns its exit status: 0 only for done. */
export async function runCommandLine(words: readonly string[], io: Io, signals: Signals): Promise<number> {
  let status = 0;
  const program = createProgram(io, signals, (value) => {
    status = value;
  });
  for (const command of [
    program,
    ...program.commands,
    ...program.commands.flatMap((group) => group.commands),
  ])
    command.exitOverride();
  try {
    await program.parseAsync([...words], { from: 'user' });
    return status;
  } catch (error) {
    return explainFailure(error, io, words.includes('--json'));
  }
}

function explainFailure(error: unknown, io: Io, isJson: boolean): number {
  // Help, version and wrong usage: commander has written what there is to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_STATUS;
  const { message, hint } = error as { readonly message?: string; readonly hint?: unknown };
  const text = message ?? String(error);
  const advice = typeof hint === 'string' && hint !== '' ? hint : undefined;
  if (isJson)
    io.out(`${toJson({ error: { message: text, ...(advice === undefined ? {} : { hint: advice }) } })}\n`);
  else io.err(`ringferry: ${text}\n${advice === undefined ? '' : `  ${advice}\n`}`);
  if (!isExplained(error) && !isJson && error instanceof Error) io.err(`${error.stack}\n`);
  return error instanceof CommandFailure ? error.status : 1;
}

/** Operating errors and those of the system (EADDRINUSE …) say what is the matter; for anything else the stack does. */
function isExplained(error: unknown): boolean {
  if (error instanceof CommandFailure || error instanceof OperatingError) return true;
  return /^E(?!RR_)[A-Z]+$/.test(String((error as { code?: unknown }).code));
}
