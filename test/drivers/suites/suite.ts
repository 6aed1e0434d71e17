/** Where a suite's tests connect to, as user `postgres` without a password. */
export interface Target {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

/** How each test of a file ended, by its name; a runner that tells only of files has one entry. */
export type Outcomes = ReadonlyMap<string, Outcome>;

export interface Outcome {
  readonly kind: 'passed' | 'failed' | 'skipped';
  /** What the runner said of a failure, one line. */
  readonly reason?: string;
}

/** The tests that a driver's authors publish with it. Nothing of theirs is kept here: it is brought when it is run. */
export interface Suite {
  readonly name: string;
  /** What is brought, as the package registry names it. */
  readonly brings: string;
  /** Brings the tests and what they need into an empty folder. */
  bring(folder: string): Promise<void>;
  /** The test files in that folder, after `bring`. */
  files(folder: string): Promise<string[]>;
  run(folder: string, file: string, target: Target): Promise<Outcomes>;
}

/** The variables that libpq, and so every driver, reads. */
export function connectionVariables(target: Target): NodeJS.ProcessEnv {
  return {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: 'postgres',
    PGDATABASE: target.database,
    PGPASSWORD: '',
  };
}
