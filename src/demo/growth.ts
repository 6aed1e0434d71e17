import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatingError } from '../lib/errors.js';
import type { MigrationRecord, Phase } from '../migration/record.js';
import { ownCommand, type ProxyProcess } from './proxy-process.js';

/** A migration as the HTTP port tells it. */
interface MigrationState {
  readonly record: MigrationRecord;
}

/** Adds a shard by Ringferry's own command line and tells what the migration's record says on the way. Resolves with the record at `until`. */
export async function addShard(
  proxy: ProxyProcess,
  shard: { readonly name: string; readonly url: string },
  onProgress: (record: MigrationRecord) => void,
): Promise<MigrationRecord> {
  const command = ringferry(
    'migrate',
    'add-shard',
    shard.name,
    '--url',
    shard.url,
    '-c',
    proxy.configPath,
    '--json',
  );
  return followTo('switched', command, proxy, onProgress);
}

/** Gives up the way back and cleans up. */
export async function finish(
  proxy: ProxyProcess,
  id: string,
  onProgress: (record: MigrationRecord) => void,
): Promise<MigrationRecord> {
  return followTo(
    'done',
    ringferry('migrate', 'finish', id, '-c', proxy.configPath, '--json'),
    proxy,
    onProgress,
  );
}

async function followTo(
  phase: Phase,
  command: Promise<void>,
  proxy: ProxyProcess,
  onProgress: (record: MigrationRecord) => void,
): Promise<MigrationRecord> {
  let failure: unknown;
  command.catch((error: unknown) => {
    failure = error;
  });
  for (;;) {
    if (failure !== undefined) throw failure;
    const record = await lastRecord(proxy);
    if (record !== undefined) {
      onProgress(record);
      if (record.phase === phase) break;
      if (record.phase === 'failed' || record.phase === 'aborted') {
        throw new OperatingError(
          'migration',
          `the migration ended as ${record.phase}: ${record.failure?.message ?? ''}`,
        );
      }
    }
    await sleep(100);
  }
  await command;
  return (await lastRecord(proxy))!;
}

async function lastRecord(proxy: ProxyProcess): Promise<MigrationRecord | undefined> {
  const states = await proxy.ask<MigrationState[]>('/api/v1/migrations');
  return states.at(-1)?.record;
}

function ringferry(...args: string[]): Promise<void> {
  const [program, ...before] = ownCommand();
  return new Promise((resolve, reject) => {
    execFile(program, [...before, ...args], { maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve();
      else
        reject(
          new OperatingError(
            'migration',
            `ringferry ${args.slice(0, 3).join(' ')} failed: ${(stderr || stdout).trim()}`,
          ),
        );
    });
  });
}
