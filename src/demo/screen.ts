import type { WriteStream } from 'node:tty';

/** Without a terminal nothing is said for this long before a passing state is worth a line. */
const QUIET_MS = 10_000;

/** Where the demo writes: a terminal gets colours and a line that changes, everything else plain lines. */
export class Screen {
  readonly #out: NodeJS.WritableStream;
  readonly #isTerminal: boolean;
  #hasLiveLine = false;
  #lastPlain = performance.now();

  constructor(out: NodeJS.WritableStream, env: NodeJS.ProcessEnv = process.env) {
    this.#out = out;
    this.#isTerminal =
      (out as WriteStream).isTTY === true && env['NO_COLOR'] === undefined && env['TERM'] !== 'dumb';
  }

  line(text = ''): void {
    this.#lastPlain = performance.now();
    this.#clear();
    this.#out.write(`${text}\n`);
  }

  /** Replaces the last line on a terminal; elsewhere it is a line of its own now and then, so that a log shows life. */
  live(text: string): void {
    if (!this.#isTerminal) {
      if (performance.now() - this.#lastPlain < QUIET_MS) return;
      this.#lastPlain = performance.now();
      this.#out.write(`${text}\n`);
      return;
    }
    this.#clear();
    this.#out.write(this.#fitted(text));
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
    return this.#isTerminal && text !== '' ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  }

  /** A line that wraps could not be replaced. */
  #fitted(text: string): string {
    const columns = (this.#out as WriteStream).columns || 80;
    const plain = text.replace(/\x1b\[\d+m/g, '');
    return plain.length < columns ? text : plain.slice(0, columns - 1);
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
