import { jsonSchema } from './schema.js';
import { listSettings, type Setting } from './settings.js';

/** The text of `config/ringferry.schema.json`. */
export function schemaFileText(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}

const SECTIONS: Readonly<Record<string, string>> = {
  listen: 'Where Ringferry listens.',
  workers: '',
  store: 'Where the ring, its epochs and the migrations are kept.',
  tls: 'What clients see when they ask for TLS. Leave it out to serve plain connections only.',
  admin: 'Who may use the control port and the API.',
  mysql: 'What MySQL clients are told.',
  users: 'A list: who may log in. At least one.',
  databases: 'A map: the databases that clients can name. `"*"` stands for every name that is not listed.',
  limits: 'A named maximum for everything that comes from outside.',
  migration: 'How ranges move between shards.',
  log: 'Lines of JSON on standard error.',
};

const INTRODUCTION = `# Configuration

<!-- Made from src/config/schema.ts: \`UPDATE=1 npm test -- test/config/generated.test.ts\` writes it anew. -->

\`ringferry serve -c FILE\` reads one YAML file; [ringferry.example.yaml](../config/ringferry.example.yaml) is one to start
from, and [ringferry.schema.json](../config/ringferry.schema.json) lets an editor complete and check it.
\`ringferry check -c FILE\` explains every mistake with its line and what to write instead.

- \`\${NAME}\` in a value is replaced by the environment variable; one that is not set is a mistake. \`\${NAME:-text}\` has a
  default, \`$\${\` is a literal \`\${\`. Put variables inside \`{ }\` in quotes.
- Times are numbers of milliseconds (\`_ms\`) and sizes numbers of bytes (\`_bytes\`).
- Relative file names start at the folder of the configuration file.
- *Reload*: \`yes\` means that \`RELOAD\` on the control port or SIGHUP applies a change; the others wait for a restart.

A database with one shard and no tables is a plain pooler. The entry \`"*"\` passes every other database name through to one
server; its URL names no database. The shards listed here are those of the ring's first state: later the store owns the ring,
and \`ringferry migrate …\` changes it.
`;

/** The text of `docs/configuration.md`. */
export function configurationPage(): string {
  const sections = new Map<string, Setting[]>();
  for (const setting of listSettings()) {
    const section = /^[a-z_]+/.exec(setting.path)?.[0] ?? '';
    sections.set(section, [...(sections.get(section) ?? []), setting]);
  }
  const parts = [INTRODUCTION];
  for (const [section, settings] of sections) {
    parts.push(`## ${section}\n`);
    if (SECTIONS[section]) parts.push(`${SECTIONS[section]}\n`);
    parts.push(
      '| setting | type | default | reload | |\n|---|---|---|---|---|',
      ...settings.map(settingRow),
      '',
    );
  }
  return `${parts.join('\n').trimEnd()}\n`;
}

function settingRow(setting: Setting): string {
  const fallback = setting.isRequired
    ? '*must be given*'
    : setting.default === undefined
      ? ''
      : `\`${JSON.stringify(setting.default)}\``;
  const cells = [
    `\`${setting.path}\``,
    setting.type,
    fallback,
    setting.isReloadable ? 'yes' : 'no',
    setting.doc,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
