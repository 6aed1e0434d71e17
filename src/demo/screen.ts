import type { WriteStream } from 'node:tty';

/** Where the demo writes: a terminal gets colours and a line that changes, everything else plain lines. */
export class Screen {
  readonly #out: NodeJS.WritableStream;
  readonly #isTerminal: boolean;
  #hasLiveLine = false;
  #lastPlain = 0;

  constructor(out: NodeJS.WritableStream, env: NodeJS.ProcessEnv = process.env) {
    this.#out = out;
    this.#isTerminal =
      (out as WriteStream).isTTY === true && env['NO_COLOR'] === undefined && env['TERM'] !== 'dumb';
  }

  line(text = ''): void {
    this.#clear();
    this.#out.write(`${text}\n`);
  }

  /** Replaces the last line on a terminal; elsewhere it is written at most every two seconds. */
  live(text: string): void {
    if (!this.#isTerminal) {
      if (performance.now() - this.#lastPlain < 2000) return;
      this.#lastPlain = performance.now();
      this.#out.write(`${text}\n`);
      return;
    }
    this.#clear();
    this.#out.write(text.slice(0, ((this.#out as WriteStream).columns ?? 120) - 1));
    this.#hasLiveLine = true;
  }

  bold(text: string): string {
    return this.#styled(text, 1, 22);
  }

  dim(text: string): string {
    return this.#styled(text, 2, 22);
  }

  good(text: string): string {
    return this.#styled(text, 32, 39);
  }

  bad(text: string): string {
    return this.#styled(text, 31, 39);
  }

  #styled(text: string, on: number, off: number): string {
    return this.#isTerminal ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  }

  #clear(): void {
    if (this.#hasLiveLine) this.#out.write('\r\x1b[2K');
    this.#hasLiveLine = false;
  }
}

export function thousands(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${thousands(ms)} ms`;
}

/** `[#####.....]` of a share between 0 and 1. */
export function bar(share: number, width = 24): string {
  const full = Math.round(Math.max(0, Math.min(1, share)) * width);
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}]`;
}
