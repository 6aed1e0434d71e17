/** The outside of a command: where it writes, what it reads, and whether a person is looking. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** A person is looking at `out`: lines may be drawn over. */
  readonly isTerminal: boolean;
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Everything on standard input. */
  readStdin(): Promise<string>;
  /** Standard input is a file, so that reading it ends. */
  readonly isStdinFile: boolean;
}

/** A failure that is explained already: its message is for people, without a stack. */
export class CommandFailure extends Error {
  readonly hint: string | undefined;
  readonly status: number;

  constructor(
    message: string,
    hint?: string,
    options: { readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CommandFailure';
    this.hint = hint;
    this.status = options.status ?? 1;
  }
}

/** JSON on one line; 64-bit integers as text. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner));
}
