/** Numbers as people read them. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 ** 2).toFixed(1)} MB`;
  return `${(bytes / 1024 ** 3).toFixed(2)} GB`;
}

/** `━━━━━━────` with `fraction` of it full. */
export function formatBar(fraction: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return '━'.repeat(full) + '─'.repeat(width - full);
}

const WINDOW_MS = 5000;

/** How fast something grows, over the last seconds. */
export class Rate {
  readonly #points: { readonly atMs: number; readonly value: number }[] = [];

  add(atMs: number, value: number): void {
    this.#points.push({ atMs, value });
    while (this.#points.length > 2 && atMs - this.#points[0]!.atMs > WINDOW_MS) this.#points.shift();
  }

  /** Per second; 0 while it is not known. */
  get perSecond(): number {
    const first = this.#points[0];
    const last = this.#points.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return Math.max(0, ((last.value - first.value) * 1000) / (last.atMs - first.atMs));
  }
}

/** Lines that stay, and one line that is drawn over while a person looks. */
export class LiveLine {
  readonly #write: (text: string) => void;
  readonly #isTerminal: boolean;
  readonly #columns: number;
  #isDrawn = false;

  constructor(io: { out(text: string): void; readonly isTerminal: boolean; readonly columns: number }) {
    this.#write = (text) => io.out(text);
    this.#isTerminal = io.isTerminal;
    this.#columns = io.columns;
  }

  /** Draws over the line before; nothing where nobody looks. */
  draw(text: string): void {
    if (!this.#isTerminal) return;
    this.#write(`\r\x1b[2K${text.slice(0, this.#columns - 1)}`);
    this.#isDrawn = true;
  }

  /** A line that stays. */
  print(text: string): void {
    this.clear();
    this.#write(`${text}\n`);
  }

  clear(): void {
    if (this.#isDrawn) this.#write('\r\x1b[2K');
    this.#isDrawn = false;
  }
}
