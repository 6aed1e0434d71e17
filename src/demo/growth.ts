import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatingError } from '../lib/errors.js';
import type { Phase } from '../migration/record.js';
import { ownCommand, type ProxyProcess } from './proxy-process.js';

/** A migration as the HTTP port tells it. */
export interface Growth {
  readonly id: string;
  readonly phase: Phase;
  readonly sources: readonly string[];
  readonly sharePercent: number;
  readonly copiedRows: number;
  readonly estimatedRows: number;
  readonly appliedRows: number;
  readonly comparedRows: number;
  readonly differences: number;
  readonly holdMs: number | undefined;
  readonly failure: string;
  /** When each phase began, in order. */
  readonly began: ReadonlyMap<Phase, number>;
}

type OnProgress = (growth: Growth) => void;

/** Adds a shard by Ringferry's own command line and tells on the way what the migration's record says. Resolves when the new shard owns its keys. */
export function addShard(
  proxy: ProxyProcess,
  name: string,
  url: string,
  onProgress: OnProgress,
): Promise<Growth> {
  const command = ringferry('migrate', 'add-shard', name, '--url', url, '-c', proxy.configPath, '--json');
  return follow('switched', command, proxy, onProgress);
}

/** Gives up the way back; resolves when everything left behind is removed. */
export function finish(proxy: ProxyProcess, id: string, onProgress: OnProgress): Promise<Growth> {
  return follow(
    'done',
    ringferry('migrate', 'finish', id, '-c', proxy.configPath, '--json'),
    proxy,
    onProgress,
  );
}

async function follow(
  end: Phase,
  command: Promise<void>,
  proxy: ProxyProcess,
  onProgress: OnProgress,
): Promise<Growth> {
  let failure: unknown;
  command.catch((error: unknown) => {
    failure = error;
  });
  for (;;) {
    if (failure !== undefined) throw failure;
    const growth = await lastGrowth(proxy);
    if (growth !== undefined) {
      onProgress(growth);
      if (growth.phase === end) {
        await command;
        return growth;
      }
      if (growth.phase === 'failed' || growth.phase === 'aborted') {
        throw new OperatingError('migration', `the migration ended as ${growth.phase}: ${growth.failure}`);
      }
    }
    await sleep(50);
  }
}

interface Rows<Row> {
  readonly rows: readonly Row[];
}

async function lastGrowth(proxy: ProxyProcess): Promise<Growth | undefined> {
  const list = await proxy.ask<Rows<{ id: string }>>('/api/v1/migrations');
  const id = list.rows.at(-1)?.id;
  if (id === undefined) return undefined;
  const detail = await proxy.ask<Rows<{ item: string; value: string | null }>>(`/api/v1/migration/${id}`);
  return growthOf(id, new Map(detail.rows.map(({ item, value }) => [item, value ?? ''])));
}

function growthOf(id: string, items: ReadonlyMap<string, string>): Growth {
  const count = (item: string) => Number(items.get(item) || 0);
  const began = [...items].filter(([item]) => item.endsWith(' since'));
  const moves = [...items.keys()].filter((item) => item.startsWith('move '));
  return {
    id,
    phase: items.get('phase') as Phase,
    sources: moves.map((item) => item.split(' ')[1]!),
    sharePercent: count('share_percent'),
    copiedRows: count('copied_rows'),
    estimatedRows: count('estimated_rows'),
    appliedRows: count('applied_rows'),
    comparedRows: count('compared_rows'),
    differences: count('differences'),
    holdMs: items.get('hold_ms') ? count('hold_ms') : undefined,
    failure: items.get('failure') ?? '',
    began: new Map(began.map(([item, at]) => [item.replace(/ since$/, '') as Phase, Date.parse(at)])),
  };
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
