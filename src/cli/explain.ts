import { explainedText } from './check.js';
import { type Explained, openExplainer } from './explained.js';
import { type Io, toJson } from './io.js';
import type { CommonOptions } from './target.js';

/** `explain "SQL"`: where each statement goes. Status 1 when one is not supported. */
export async function runExplain(
  io: Io,
  sql: string,
  options: CommonOptions & { readonly database?: string },
): Promise<number> {
  const explainer = await openExplainer(io, options);
  try {
    const found = await explainer.explain(sql);
    if (options.json) io.out(`${toJson({ source: explainer.source, statements: found })}\n`);
    else for (const explained of found) io.out(explainedText(explained) + rewritten(explained));
    return found.some((explained) => explained.problem !== null) ? 1 : 0;
  } finally {
    await explainer.close();
  }
}

function rewritten({ shards, shardSql }: Explained): string {
  const shard = shards.split(', ')[0];
  return shardSql === '' ? '' : `${' '.repeat(15)}shard ${shard} runs: ${shardSql.replace(/\s+/g, ' ')}\n`;
}
