import { fstatSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Io } from './io.js';

/** This process's own terminal, environment and input. */
export function processIo(): Io {
  return {
    out: (line) => void process.stdout.write(line),
    err: (line) => void process.stderr.write(line),
    isTerminal: process.stdout.isTTY === true && process.env['TERM'] !== 'dumb',
    columns: process.stdout.columns ?? 100,
    env: process.env,
    cwd: process.cwd(),
    readStdin: () => text(process.stdin),
    isStdinFile: isFile(0),
  };
}

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}
