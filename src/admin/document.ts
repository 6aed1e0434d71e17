import { CATALOGUE, type MetricFacts } from '../metrics/catalogue.js';
import { type Command, syntaxOf } from './command.js';
import { COMMANDS } from './commands.js';
import { methodOf, pathOf } from './http-api.js';

const NOTE =
  '<!-- Made from the source: `UPDATE=1 npm test -- test/admin/generated.test.ts` writes it anew. -->';

/** The text of `docs/commands.md`. */
export function commandsPage(): string {
  const lines = [
    '# Commands of the control port',
    '',
    NOTE,
    '',
    'Over `psql -p 6433 ringferry`, over `ringferry admin "…"`, and over HTTP as JSON: parameters in the path in their order, or by',
    'name in the query (GET) or in a JSON object (POST). `<this>` must be given, `[this]` may be left out.',
    '',
    '| command | HTTP | what it does |',
    '|---|---|---|',
    ...COMMANDS.map(
      (command) =>
        `| \`${syntaxOf(command)}\` | \`${methodOf(command)} ${pathOf(command)}\` | ${command.summary} |`,
    ),
    '',
    '## Columns',
    '',
    "PgBouncer's words have PgBouncer's columns in its order; what is ours comes after them.",
    '',
    ...COMMANDS.filter((command) => command.kind === 'show' && !command.words.startsWith('EXPLAIN ')).map(
      columnsLine,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function columnsLine(command: Command): string {
  return `- \`${command.words}\`: ${command.columns.map(({ name }) => name).join(', ')}`;
}

/** The text of `docs/metrics.md`. */
export function metricsPage(): string {
  const rows = Object.entries<MetricFacts>(CATALOGUE).map(
    ([name, { type, labels, help }]) => `| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} |`,
  );
  const lines = [
    '# Metrics',
    '',
    NOTE,
    '',
    '`GET /metrics`, in the format of Prometheus; beside these there are the metrics of the process itself (CPU, memory, event loop).',
    '',
    '| metric | type | labels | |',
    '|---|---|---|---|',
    ...rows,
  ];
  return `${lines.join('\n')}\n`;
}
