import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { RunAs } from './run-as.js';

/**
 * A shell between us and the process: it ends the process when our end of its stdin goes away, however we die. $1 is the
 * signal for that, $2 a folder to remove then, the rest the command line. It tells the process id first.
 */
const GUARD = `signal=$1; folder=$2; shift 2
exec 3<&0
"$@" </dev/null & process=$!
echo $process
( read -r word <&3; [ "$word" = keep ] || { : > "$folder/orphaned"; kill -$signal $process; kill -CONT $process; } 2>/dev/null ) & reader=$!
wait $process; status=$?
[ -e "$folder/orphaned" ] && rm -rf "$folder"
kill $reader 2>/dev/null
exit $status`;

export interface GuardedOptions {
  /** The process's working folder; removed when we die without a chance to do so. */
  readonly folder: string;
  /** File in the folder for its standard error (and output). */
  readonly logFile: string;
  /** What ends it when we die. */
  readonly signal: 'QUIT' | 'TERM' | 'KILL';
  readonly runAs?: RunAs | undefined;
  readonly env?: NodeJS.ProcessEnv;
}

/** A child process in a session of its own (Ctrl-C does not reach it) that never outlives us. */
export class GuardedProcess {
  readonly #child: ChildProcess;
  readonly #options: GuardedOptions;
  #processId = 0;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  readonly #onExit = () => {
    this.signal(`SIG${this.#options.signal}`);
    rmSync(this.#options.folder, { recursive: true, force: true, maxRetries: 3 });
  };

  private constructor(child: ChildProcess, options: GuardedOptions) {
    this.#child = child;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    void this.ended.then(() => process.off('exit', this.#onExit));
    process.once('exit', this.#onExit);
    child.stdin?.on('error', () => {});
  }

  static async start(
    command: readonly [string, ...string[]],
    options: GuardedOptions,
  ): Promise<GuardedProcess> {
    const log = await open(`${options.folder}/${options.logFile}`, 'w');
    const common = { ...options.runAs, env: options.env ?? process.env, cwd: options.folder };
    if (process.platform === 'win32') {
      const child = spawn(command[0], command.slice(1), { ...common, stdio: ['ignore', log.fd, log.fd] });
      await log.close();
      const guarded = new GuardedProcess(child, options);
      guarded.#processId = child.pid ?? 0;
      return guarded;
    }
    // The shell's own words come through the pipe; everything that the process says goes to the log.
    const redirected = ['sh', '-c', 'exec "$@" >&2', 'sh', ...command];
    const args = ['-c', GUARD, 'sh', options.signal, options.folder, ...redirected];
    const child = spawn('/bin/sh', args, { ...common, detached: true, stdio: ['pipe', 'pipe', log.fd] });
    await log.close();
    const guarded = new GuardedProcess(child, options);
    guarded.#processId = await new Promise((resolve) => {
      child.stdout?.once('data', (chunk: Buffer) => resolve(Number.parseInt(chunk.toString(), 10)));
      child.once('error', () => resolve(0));
      child.once('exit', () => resolve(0));
    });
    return guarded;
  }

  get processId(): number {
    return this.#processId;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#processId === 0;
  }

  /** Sends a signal to the process itself; nothing happens when it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (this.hasEnded) return;
    try {
      process.kill(this.#processId, signal);
    } catch {
      // It has ended in the meantime.
    }
  }

  /** As `signal`, for a signal that ends it; the folder stays. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child.stdin?.end('keep\n');
    this.signal(signal);
    this.signal('SIGCONT');
    await this.ended;
  }
}
