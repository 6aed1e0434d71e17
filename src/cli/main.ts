#!/usr/bin/env node
import { processIo } from './process-io.js';
import { runCommandLine } from './run.js';

// `ringferry … | head` closes our output early: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const status = await runCommandLine(process.argv.slice(2), processIo(), process);
process.exitCode = status;
// A command that is done is done, whatever handle a library may have left open; output is written first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(status)));
