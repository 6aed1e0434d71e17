import { compareWithDirect, type Operation } from './compare.js';
import * as wire from './wire-client.js';

type Script = {
  readonly name: string;
  readonly frames: readonly Buffer[];
  readonly readies: number;
};

const {
  bind,
  closePortal,
  closeStatement,
  describePortal,
  describeStatement,
  execute,
  frame,
  parse,
  query,
  FLUSH,
  SYNC,
} = wire;

/** Messages in exact order as a server of PostgreSQL sends them; the direct connection says what is right. */
const SCRIPTS: readonly Script[] = [
  { name: 'a simple query', frames: [query('SELECT 1 AS one, NULL, $$x$$::text')], readies: 1 },
  {
    name: 'an empty query and one that is only a comment',
    frames: [query(''), query('-- nothing'), query(' ; ;')],
    readies: 3,
  },
  {
    name: 'several statements in one query',
    frames: [query('SELECT 1; SELECT 2 AS two; SELECT 3')],
    readies: 1,
  },
  {
    name: 'an error in the middle of several statements',
    frames: [query('SELECT 1; SELECT 1/0; SELECT 3'), query('SELECT 4')],
    readies: 2,
  },
  {
    name: 'transaction states in ReadyForQuery',
    frames: [query('BEGIN'), query('SELECT 1/0'), query('SELECT 1'), query('COMMIT'), query('COMMIT')],
    readies: 5,
  },
  {
    name: 'parse, bind, describe, execute',
    frames: [
      parse('', 'SELECT $1::int + 1 AS next'),
      bind('', '', ['41']),
      describePortal(''),
      execute(''),
      SYNC,
    ],
    readies: 1,
  },
  {
    name: 'binary results',
    frames: [parse('', 'SELECT 1::int4, 2::int8, $$x$$::text'), bind('', '', [], 1), execute(''), SYNC],
    readies: 1,
  },
  {
    name: 'a named statement, described, run twice, closed, and missed',
    frames: [
      parse('s1', 'SELECT $1::text', [25]),
      describeStatement('s1'),
      SYNC,
      bind('', 's1', ['a']),
      execute(''),
      bind('', 's1', [null]),
      execute(''),
      SYNC,
      closeStatement('s1'),
      SYNC,
      bind('', 's1', ['b']),
      execute(''),
      SYNC,
    ],
    readies: 4,
  },
  {
    name: 'a portal read in pieces inside a transaction',
    frames: [
      query('BEGIN'),
      parse('', 'SELECT * FROM generate_series(1, 5)'),
      bind('p', ''),
      execute('p', 2),
      execute('p', 2),
      SYNC,
      execute('p', 2),
      execute('p', 2),
      SYNC,
      closePortal('p'),
      SYNC,
      execute('p'),
      SYNC,
      query('ROLLBACK'),
    ],
    readies: 6,
  },
  {
    name: 'an error in a pipeline skips the rest up to Sync',
    frames: [
      parse('', 'SELECT 1'),
      bind('', ''),
      execute(''),
      parse('', 'SELECT nonsense'),
      bind('', ''),
      execute(''),
      parse('', 'SELECT 3'),
      bind('', ''),
      execute(''),
      SYNC,
      parse('', 'SELECT 4'),
      bind('', ''),
      execute(''),
      SYNC,
    ],
    readies: 2,
  },
  {
    name: 'Flush brings answers before Sync',
    frames: [parse('', 'SELECT 7'), FLUSH, bind('', ''), describePortal(''), FLUSH, execute(''), FLUSH, SYNC],
    readies: 1,
  },
  {
    name: 'an error behind Flush inside a transaction, then Sync',
    frames: [
      query('BEGIN'),
      parse('', 'SELEKT'),
      FLUSH,
      SYNC,
      query('SELECT 1'),
      query('ROLLBACK'),
      query('SELECT 2'),
    ],
    readies: 5,
  },
  {
    name: 'steps between an error behind Flush and Sync',
    frames: [
      parse('', 'SELEKT'),
      FLUSH,
      parse('', 'SELECT 1'),
      FLUSH,
      bind('', ''),
      execute(''),
      SYNC,
      query('SELECT 2'),
    ],
    readies: 2,
  },
  {
    name: 'a simple query behind steps without Sync',
    frames: [parse('', 'SELECT 1'), bind('', ''), query('SELECT 2'), SYNC],
    readies: 2,
  },
  { name: 'binding an unknown statement', frames: [bind('', 'unheard_of'), execute(''), SYNC], readies: 1 },
  { name: 'executing an unknown portal', frames: [execute('nowhere'), SYNC], readies: 1 },
  {
    name: 'preparing the same name twice',
    frames: [parse('twice', 'SELECT 1'), parse('twice', 'SELECT 2'), SYNC, closeStatement('twice'), SYNC],
    readies: 2,
  },
  {
    name: 'closing what is not there',
    frames: [closeStatement('not_there'), closePortal('not_there'), SYNC],
    readies: 1,
  },
  {
    name: 'a statement without a result described',
    frames: [
      parse('', 'BEGIN'),
      describeStatement(''),
      bind('', ''),
      describePortal(''),
      execute(''),
      SYNC,
      query('ROLLBACK'),
    ],
    readies: 2,
  },
  {
    name: 'wrong number of parameters',
    frames: [parse('', 'SELECT $1::int'), bind('', '', ['1', '2']), execute(''), SYNC],
    readies: 1,
  },
  {
    name: 'an unreadable parameter',
    frames: [parse('', 'SELECT $1::int'), bind('', '', ['no number']), execute(''), SYNC],
    readies: 1,
  },
  {
    name: 'COPY out by a simple query',
    frames: [query('COPY (SELECT n, $$t\\$$ || n FROM generate_series(1, 3) AS n) TO STDOUT')],
    readies: 1,
  },
  {
    name: 'COPY in by a simple query',
    frames: [
      query('CREATE TEMP TABLE t (a int, b text); COPY t FROM STDIN; SELECT * FROM t; DROP TABLE t'),
      frame('d', '1\tone\n2\t\\N\n'),
      frame('c'),
    ],
    readies: 1,
  },
  {
    name: 'COPY in that the client gives up',
    frames: [
      query('BEGIN; CREATE TEMP TABLE u (a int); COPY u FROM STDIN'),
      frame('d', '1\n'),
      frame('f', 'no more\0'),
      query('ROLLBACK'),
    ],
    readies: 2,
  },
  {
    name: 'COPY in with a bad row',
    frames: [
      query('BEGIN; CREATE TEMP TABLE v (a int); COPY v FROM STDIN'),
      frame('d', '1\nx\n'),
      frame('d', '2\n'),
      frame('c'),
      query('ROLLBACK'),
    ],
    readies: 2,
  },
  {
    name: 'COPY out by the extended protocol',
    frames: [parse('', 'COPY (SELECT 1) TO STDOUT'), bind('', ''), execute(''), SYNC],
    readies: 1,
  },
  {
    name: 'COPY in by the extended protocol',
    frames: [
      query('CREATE TEMP TABLE w (a int)'),
      parse('', 'COPY w FROM STDIN'),
      bind('', ''),
      execute(''),
      SYNC,
      frame('d', '5\n'),
      frame('c'),
      SYNC,
      query('SELECT * FROM w'),
    ],
    readies: 3,
  },
  {
    name: 'COPY in by Execute, Flush and Sync, as pg8000 does',
    frames: [
      query('BEGIN; CREATE TEMP TABLE f (a int) ON COMMIT DROP'),
      parse('', 'COPY f FROM STDIN'),
      bind('', ''),
      execute(''),
      FLUSH,
      SYNC,
      frame('d', '1\n2\n'),
      frame('c'),
      SYNC,
      query('SELECT * FROM f; ROLLBACK'),
    ],
    readies: 3,
  },
  {
    name: 'COPY in that is refused, by Execute, Flush and Sync',
    frames: [
      parse('', 'COPY no_such_table FROM STDIN'),
      bind('', ''),
      execute(''),
      FLUSH,
      SYNC,
      frame('d', '1\n2\n'),
      frame('c'),
      SYNC,
      query('SELECT 1'),
    ],
    readies: 3,
  },
  {
    name: 'a notice between the rows',
    frames: [
      query(
        'DO $$BEGIN RAISE NOTICE USING MESSAGE = $m$look$m$, DETAIL = $m$d$m$, HINT = $m$h$m$, ERRCODE = $m$12345$m$; END$$',
      ),
    ],
    readies: 1,
  },
  {
    name: 'a changed parameter is reported',
    frames: [query("SET TimeZone = 'Asia/Tokyo'; SET application_name = 'wire'"), query('RESET ALL')],
    readies: 2,
  },
  {
    name: 'a function call',
    frames: [
      frame('F', wire.int32(1598), wire.int16(0), wire.int16(0), wire.int16(1)),
      SYNC,
      query('SELECT 1'),
    ],
    readies: 2,
  },
  {
    name: 'many requests written at once',
    frames: Array.from({ length: 40 }, (_, n) => query(`SELECT ${n}`)),
    readies: 40,
  },
  {
    name: 'SQL-level PREPARE and cursors',
    frames: [
      query('PREPARE q AS SELECT $1::int'),
      query('EXECUTE q(5)'),
      query('DEALLOCATE q'),
      query('BEGIN; DECLARE k CURSOR FOR SELECT generate_series(1, 4)'),
      query('FETCH 3 FROM k'),
      query('MOVE 1 FROM k'),
      query('CLOSE k; COMMIT'),
    ],
    readies: 7,
  },
];

/** What differs from connection to connection is left out: names of source lines, transaction numbers, function results of random(). */
function shown(message: wire.Message): string {
  if (message.type === 'E' || message.type === 'N') {
    const { L: _line, F: _file, R: _routine, ...fields } = wire.fieldsOf(message);
    return `${message.type} ${JSON.stringify(fields)}`;
  }
  // RowDescription names the oid of a table, which is another one each time for a temporary table.
  if (message.type === 'T') return `T ${describeColumns(message.body)}`;
  return message.type === 'V' ? 'V' : `${message.type} ${message.body.toString('latin1')}`;
}

function describeColumns(body: Buffer): string {
  const columns: string[] = [];
  for (let at = 2; at < body.length; ) {
    const end = body.indexOf(0, at);
    columns.push(
      `${body.toString('utf8', at, end)}:${body.readInt32BE(end + 7)}:${body.readInt16BE(end + 11)}:${body.readInt32BE(end + 13)}:${body.readInt16BE(end + 17)}`,
    );
    at = end + 19;
  }
  return columns.join(' ');
}

const operations: Operation[] = SCRIPTS.map((script) => ({
  name: script.name,
  run: async (url: string) => {
    const client = await wire.WireClient.login(url);
    try {
      client.send(...script.frames);
      return (await client.until('Z', script.readies)).map(shown);
    } finally {
      client.end();
    }
  },
}));

await compareWithDirect('messages on the wire', operations);
