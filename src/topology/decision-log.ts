import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asError, OperatingError } from '../lib/errors.js';
import { PRIVATE_FILE, readIfThere, syncFolder, writeDurably } from './durable-file.js';
import type { DecisionLog } from './store.js';
import { corrupt } from './stored-json.js';

/** Rewritten without what is forgotten when it has grown to this size. */
const COMPACT_BYTES = 1 << 20;

/** PostgreSQL manual, PREPARE TRANSACTION: "less than 200 bytes long". */
const GID = /^[\x21-\x7e]{1,199}$/;

interface Waiting {
  readonly gid: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * A decision is on disk before it is acted upon. One file of lines `<checksum> + <gid>` (decided to commit) and
 * `<checksum> - <gid>` (done everywhere). Decisions that come while a flush runs share the next one (group commit).
 * A last line without its newline was never acknowledged and is cut off; a bad line elsewhere is refused.
 */
export class FileDecisionLog implements DecisionLog {
  readonly owner: string;
  readonly #path: string;
  readonly #live: Set<string>;
  #file: FileHandle;
  /** Bytes that are certainly on disk. */
  #durableBytes: number;
  #waiting: Waiting[] = [];
  #forgotten: string[] = [];
  #flushing: Promise<void> | undefined;
  #failure: OperatingError | undefined;

  private constructor(path: string, owner: string, file: FileHandle, live: Set<string>, bytes: number) {
    this.owner = owner;
    this.#path = path;
    this.#file = file;
    this.#live = live;
    this.#durableBytes = bytes;
  }

  /** Reads the log, compacts it, and opens it for appending. */
  static async open(path: string): Promise<FileDecisionLog> {
    const live = readDecisions(path, (await readIfThere(path)) ?? '');
    const text = linesOf('+', live);
    await writeDurably(path, text);
    const owner = await ownerOf(`${path}.owner`);
    return new FileDecisionLog(
      path,
      owner,
      await open(path, 'a', PRIVATE_FILE),
      live,
      Buffer.byteLength(text),
    );
  }

  record(gid: string): Promise<void> {
    if (!GID.test(gid))
      return Promise.reject(new RangeError(`not a transaction identifier: ${JSON.stringify(gid)}`));
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ gid, resolve, reject });
      this.#startFlush();
    });
  }

  async forget(gid: string): Promise<void> {
    if (!this.#live.delete(gid)) return;
    this.#forgotten.push(gid);
    this.#startFlush();
  }

  async list(): Promise<string[]> {
    return [...this.#live];
  }

  async close(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    await this.#file.close();
  }

  #startFlush(): void {
    this.#flushing ??= this.#flushAll();
  }

  async #flushAll(): Promise<void> {
    // One turn of the event loop, so that decisions made in it go together.
    await new Promise((resolve) => setImmediate(resolve));
    while ((this.#waiting.length > 0 || this.#forgotten.length > 0) && this.#failure === undefined)
      await this.#flushOnce();
    // In the same turn as the look above: a decision that comes later must start the next flush.
    this.#flushing = undefined;
    if (this.#failure !== undefined) for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }

  async #flushOnce(): Promise<void> {
    const batch = this.#waiting.splice(0);
    const decided = batch.map(({ gid }) => gid);
    const text = linesOf('-', this.#forgotten.splice(0)) + linesOf('+', decided);
    try {
      await this.#file.appendFile(text, 'utf8');
      if (decided.length > 0) await this.#file.datasync();
      this.#durableBytes += Buffer.byteLength(text);
    } catch (thrown) {
      const error = await this.#takeBack(thrown);
      for (const { reject } of batch) reject(error);
      return;
    }
    for (const { gid, resolve } of batch) {
      this.#live.add(gid);
      resolve();
    }
    if (this.#durableBytes > COMPACT_BYTES) await this.#compact();
  }

  /** After a failed write: cuts the file back to what was certainly there, so that "rejected" means "not decided". */
  async #takeBack(thrown: unknown): Promise<OperatingError> {
    const reason = asError(thrown).message;
    try {
      await this.#file.truncate(this.#durableBytes);
      await this.#file.datasync();
      return new OperatingError('internal', `the decision to commit could not be stored: ${reason}`, {
        hint: `Nothing was committed. See to the disk that holds ${this.#path}, then try again.`,
        sqlstate: '58030',
        cause: thrown,
      });
    } catch {
      this.#failure = new OperatingError(
        'outcome-unknown',
        `the decision log ${this.#path} can be neither written nor cut back: ${reason}`,
        {
          hint: 'See to the disk, then restart Ringferry: it reads the log anew and resolves what is prepared.',
          cause: thrown,
        },
      );
      return this.#failure;
    }
  }

  async #compact(): Promise<void> {
    const text = linesOf('+', this.#live);
    // Too much is live for a rewrite to pay off.
    if (Buffer.byteLength(text) > COMPACT_BYTES / 2) return;
    try {
      await writeDurably(this.#path, text);
      const compacted = await open(this.#path, 'a', PRIVATE_FILE);
      await this.#file.close();
      this.#file = compacted;
      this.#durableBytes = Buffer.byteLength(text);
      await syncFolder(dirname(this.#path));
    } catch (thrown) {
      // The file that this handle appends to may no longer be the one that a restart reads.
      this.#failure = new OperatingError(
        'outcome-unknown',
        `the decision log ${this.#path} could not be compacted`,
        {
          hint: 'See to the disk, then restart Ringferry.',
          cause: thrown,
        },
      );
    }
  }
}

function linesOf(sign: '+' | '-', gids: Iterable<string>): string {
  let text = '';
  for (const gid of gids) text += `${checksumOf(`${sign} ${gid}`)} ${sign} ${gid}\n`;
  return text;
}

function readDecisions(path: string, text: string): Set<string> {
  const live = new Set<string>();
  const lines = text.split('\n');
  // What stands behind the last newline was being written when the process died.
  lines.pop();
  lines.forEach((line, index) => {
    const match = /^([0-9a-f]{8}) ([+-]) (.+)$/.exec(line);
    if (match === null || match[1] !== checksumOf(line.slice(9))) {
      throw corrupt(path, `line ${index + 1} is damaged`);
    }
    if (match[2] === '+') live.add(match[3]!);
    else live.delete(match[3]!);
  });
  return live;
}

function checksumOf(text: string): string {
  return createHash('md5').update(text, 'utf8').digest('hex').slice(0, 8);
}

/** Made at the first start. Another proxy with a store of its own must never take our prepared transactions for its own. */
async function ownerOf(path: string): Promise<string> {
  const known = await readIfThere(path);
  if (known !== undefined) {
    if (!/^[a-z0-9]{12}\n$/.test(known)) throw corrupt(path, 'it is not the name of a decision log');
    return known.trimEnd();
  }
  const owner = randomBytes(6).toString('hex');
  await writeDurably(path, `${owner}\n`);
  return owner;
}
