import { quoted, withControl } from './control-client.js';
import { type Io, toJson } from './io.js';
import { formatBar } from './progress.js';
import { formatTable } from './table.js';
import { type CommonOptions, findTarget } from './target.js';

/** `admin "COMMAND"`: runs commands of the control port and prints what they answer. */
export async function runAdmin(io: Io, text: string, options: CommonOptions): Promise<number> {
  const answers = await withControl(findTarget(options, io), (client) => client.run(text));
  if (options.json) {
    const results = answers.map(({ tag, rows }) => ({ tag, rows }));
    io.out(`${toJson(results.length === 1 ? results[0] : results)}\n`);
    return 0;
  }
  for (const answer of answers) io.out(answer.columns.length > 0 ? formatTable(answer) : `${answer.tag}\n`);
  return 0;
}

const BAR_WIDTH = 40;

/** `ring`: what each shard owns, and what moves. `--ranges` lists every range. */
export async function showRing(
  io: Io,
  options: CommonOptions & { readonly database?: string; readonly ranges?: boolean },
): Promise<number> {
  const database = options.database === undefined ? '' : ` ${quoted(options.database)}`;
  return withControl(findTarget(options, io), async (client) => {
    const [ring] = await client.run(`SHOW RING${database}`);
    if (options.json) io.out(`${toJson({ rows: ring!.rows })}\n`);
    else if (options.ranges) io.out(formatTable(ring!));
    if (options.json || options.ranges) return 0;
    const shares = new Map<string, number>();
    const moving = new Map<string, number>();
    for (const { owner, share_percent, migration, move, other } of ring!.rows) {
      shares.set(String(owner), (shares.get(String(owner)) ?? 0) + Number(share_percent));
      if (migration === null) continue;
      const way =
        move === 'switched'
          ? `moved ${other} → ${owner}, the way back is open (${migration})`
          : `moving ${owner} → ${other} (${migration})`;
      moving.set(way, (moving.get(way) ?? 0) + Number(share_percent));
    }
    const width = Math.max(...[...shares.keys()].map((name) => name.length));
    for (const [shard, share] of [...shares].sort())
      io.out(
        `${shard.padEnd(width)}  ${formatBar(share / 100, BAR_WIDTH)} ${share.toFixed(1).padStart(5)} %\n`,
      );
    for (const [way, share] of moving) io.out(`${way}: ${share.toFixed(1)} % of the keys\n`);
    return 0;
  });
}
