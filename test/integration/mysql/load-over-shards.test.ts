import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { type LoadCase, randomCase } from './load-files.js';
import { load, rowsOf, startForLoads } from './load-fixture.js';

const { through, straight, shards, empty } = await startForLoads(lastFirst(after));

const hexed = 'SELECT hex(id), hex(x), hex(y) FROM texts';
const sorted = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).sort();

/** Every row is where its key is looked for. */
async function everyRowIsFound(): Promise<void> {
  const counts = await rowsOf(straight, 'SELECT id, count(*) FROM texts WHERE id IS NOT NULL GROUP BY id');
  for (const [id, count] of counts as unknown as [string, number][]) {
    const [found] = await rowsOf(through, 'SELECT count(*) FROM texts WHERE id = ?', [id]);
    assert.deepEqual(found, [count], JSON.stringify(id));
  }
}

/** Loads the same file both ways; true when it was not refused. */
async function sameAsDirect({ sql, file }: LoadCase, size: number): Promise<boolean> {
  await empty('texts');
  const told = await load(through, sql, file, size);
  if (told.errno !== undefined) {
    for (const shard of shards) assert.deepEqual(await rowsOf(shard, hexed), [], 'nothing is left');
    return false;
  }
  const expected = await load(straight, sql, file);
  assert.deepEqual(told, expected);
  assert.deepEqual(sorted(await rowsOf(through, hexed)), sorted(await rowsOf(straight, hexed)));
  await everyRowIsFound();
  return true;
}

describe('LOAD DATA LOCAL INFILE into a sharded table', () => {
  test('random files and options: the same rows, counts and warnings as on one server, or an error and nothing', async () => {
    const seed = Number(process.env['RINGFERRY_TEST_SEED'] ?? Date.now() % 1_000_000);
    const rounds = Number(process.env['RINGFERRY_TEST_ROUNDS'] ?? 150);
    let accepted = 0;
    for (let round = 0; round < rounds; round++) {
      const random = randomCase(seed + round);
      try {
        if (await sameAsDirect(random, 1 + ((seed + round) % 97))) accepted++;
      } catch (error) {
        throw new Error(
          `seed ${seed + round}: ${random.sql} ${JSON.stringify(random.file.toString('latin1'))}`,
          {
            cause: error,
          },
        );
      }
    }
    assert.ok(accepted > rounds / 3, `only ${accepted} of ${rounds} files were taken`);
  });

  const FILES: Record<string, [string, string]> = {
    'plain rows': ['', 'a\tx\ty\nb\tx\ty\nc\tx\ty\n'],
    'a last line without its end': ['', 'a\tx\ty\nb\tx\ty'],
    nothing: ['', ''],
    'lines that are left out': ['IGNORE 2 LINES', 'head\nline "two\na\tx\ty\n'],
    'more lines left out than there are': ['IGNORE 9 LINES', 'head\nline two\n'],
    'quoted fields with line ends': [
      `FIELDS TERMINATED BY ',' ENCLOSED BY '"'`,
      '"a","line\nend","y"\n"b","say ""x""",y\nc,"\\"",\\N\n"d",NULL,"NULL"\n',
    ],
    'the quote escapes itself': [
      `FIELDS TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY '"'`,
      '"a""b","x","y"\n"c","x\n","y"\n"e","f","g"',
    ],
    'the quote escapes itself, and the key ends the file': [
      `FIELDS TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY '"' (x, id)`,
      '"x","a"\n"x","b"',
    ],
    'escaped keys': ['', 'a\\\tb\tx\ty\n\\n\tx\ty\n\\Z\\0\tx\ty\n\\q\tx\ty\n'],
    'fields too few and too many': [`FIELDS TERMINATED BY ','`, 'a\nb,x\nc,x,y,z,"\nd,x,y\n'],
    'lines that begin somewhere': [
      `FIELDS TERMINATED BY ',' LINES STARTING BY 'x:' TERMINATED BY '\\r\\n'`,
      'junk x:a,b,c\r\nno row here\r\nx:d,e,f\r\nx:g',
    ],
    'another order of columns': ['(y, id, x)', 'y\ta\tx\ny\tb\tx\n'],
    'a key in UTF-8': ['CHARACTER SET utf8mb4', 'ä€🐘\tä\tö\nß\t\t\n'],
    'values that are too long for other columns': ['', `a\t${'v'.repeat(300)}\ty\n`],
    'separators of several characters': [
      `FIELDS TERMINATED BY '||' LINES TERMINATED BY '--\\n'`,
      'a||x|y||z--\nb||-||y--\n',
    ],
  };
  for (const [name, [options, file]] of Object.entries(FILES))
    test(`${name}: as on one server`, async () => {
      const split = /^([^(]*?)(\(.*)?$/s.exec(options)!;
      const sql = `LOAD DATA LOCAL INFILE 'f' INTO TABLE texts ${split[1]} ${split[2] ?? ''}`;
      assert.ok(await sameAsDirect({ sql, file: Buffer.from(file) }, 3), 'it was refused');
    });

  test('rows that are there already are left out or replaced, and counted', async () => {
    for (const word of ['', 'IGNORE', 'REPLACE']) {
      await empty('items');
      const sql = `LOAD DATA LOCAL INFILE 'f' ${word} INTO TABLE items FIELDS TERMINATED BY ','`;
      // What REPLACE cannot store is an error.
      for (const file of ['1,1,a\n2,1,b\n3,1,c\n2,1,d\n', `3,1,e\n4,1,f\n${word === 'REPLACE' ? '' : '5\n'}`])
        assert.deepEqual(await load(through, sql, file), await load(straight, sql, file), word);
      const all = 'SELECT * FROM items ORDER BY id, n';
      assert.deepEqual(await rowsOf(through, all), await rowsOf(straight, all));
    }
  });

  test('warnings and counts can be asked for behind it', async () => {
    await empty('items');
    const sql = "LOAD DATA LOCAL INFILE 'f' INTO TABLE items FIELDS TERMINATED BY ','";
    const ask = async (connection: Connection) => {
      const told = await load(connection, sql, '1,1,a\n2,zwei,b\n3\n');
      const [[warnings], [counted]] = [
        await connection.query<RowDataPacket[]>('SHOW WARNINGS'),
        await connection.query<RowDataPacket[]>('SELECT ROW_COUNT() AS n'),
      ];
      // Row numbers are those of each shard's part.
      return { told, codes: warnings.map(({ Code }) => Code).sort(), counted };
    };
    assert.deepEqual(await ask(through), await ask(straight));
  });

  test('keys of other types', async () => {
    await Promise.all([empty('days'), empty('raws')]);
    const days = "LOAD DATA LOCAL INFILE 'f' INTO TABLE days FIELDS TERMINATED BY ','";
    const dayFile = '2024-02-29,ab,6ccd780c-baba-1026-9564-5b8c656024db,1.50,x\n1999-12-31,\\0,,,\n';
    assert.deepEqual(await load(through, days, dayFile), await load(straight, days, dayFile));
    const [day] = await rowsOf(through, "SELECT v FROM days WHERE day = '2024-02-29'");
    assert.deepEqual(day, ['x']);
    const raws = "LOAD DATA LOCAL INFILE 'f' INTO TABLE raws CHARACTER SET binary FIELDS TERMINATED BY ','";
    const rawFile = Buffer.from([0xff, 0x00, 0x5c, 0x30, 0x2c, 0x61, 0x0a, 0xc3, 0x2c, 0x62, 0x0a]);
    assert.deepEqual(await load(through, raws, rawFile), await load(straight, raws, rawFile));
    const [raw] = await rowsOf(through, "SELECT v FROM raws WHERE raw = x'ff0000'");
    assert.deepEqual(raw, ['a']);
  });

  const BAD: Record<string, [string, string, RegExp]> = {
    'a key that is NULL': ['items', '1,1,a\n\\N,1,b\n', /no shard key/],
    'a key that the column would change': ['items', '1,1,a\n2x,1,b\n', /no shard key/],
    'a key that is out of range': ['items', '1,1,a\n99999999999,1,b\n', /no shard key/],
    'a key that is not there': ['items', '1,1,a\n\n', /no shard key/],
    'a number that is left to the server': ['numbered', '1,7\n2,0\n', /"n".*each shard.*Write a value/],
    'a day that does not exist': ['days', '2024-02-30,a\n', /no shard key/],
  };
  for (const [name, [table, file, message]] of Object.entries(BAD))
    test(`${name} in the middle: an error, no rows, and the session goes on`, async () => {
      await empty(table);
      const sql = `LOAD DATA LOCAL INFILE 'f' INTO TABLE ${table} FIELDS TERMINATED BY ','`;
      const many = Array.from({ length: 3_000 }, (_, n) => `${n + 1},${n + 1},v\n`).join('');
      const good = table === 'days' ? '' : many;
      const told = await load(through, sql, good + file + good.replaceAll(/^(\d+),(\d+)/gm, '$1,1$2'));
      assert.match(told.message ?? '', message);
      for (const shard of shards) assert.deepEqual(await rowsOf(shard, `SELECT * FROM ${table}`), []);
      assert.deepEqual(await rowsOf(through, 'SELECT 1'), [[1]]);
    });

  const REFUSED: Record<string, RegExp> = {
    "INTO TABLE items FIELDS TERMINATED BY ''": /fixed size/,
    "INTO TABLE items LINES TERMINATED BY ''": /fixed size/,
    "INTO TABLE items FIELDS TERMINATED BY '\\n'": /begin alike/,
    "INTO TABLE items FIELDS TERMINATED BY ',' ENCLOSED BY ','": /begin alike/,
    "INTO TABLE items FIELDS TERMINATED BY '§'": /ASCII/,
    'INTO TABLE items CHARACTER SET sjis': /sjis.*utf8mb4/,
    'INTO TABLE items (n, v) SET id = 1': /SET/,
    'INTO TABLE items (@id, n, v)': /variables/,
    'INTO TABLE items (n, v)': /without its shard key "id"/,
    'INTO TABLE items (id, id)': /twice/,
    'INTO TABLE numbered (id)': /without "n"/,
    'INTO TABLE items PARTITION (p0)': /PARTITION/,
    'INTO TABLE seen': /view/,
    'INTO TABLE twice': /"double_id" is generated.*Name the columns/,
    'INTO TABLE twice (id, double_id)': /"double_id".*no column/,
    'INTO TABLE moments (code)': /without "at"/,
    'INTO TABLE countries (code) SET name = uuid()': /SET/,
  };
  for (const [rest, message] of Object.entries(REFUSED))
    test(`${rest}: refused, with the reason`, async () => {
      const told = await load(through, `LOAD DATA LOCAL INFILE 'f' ${rest}`, '1,1,1\n');
      assert.match(told.message ?? '', message);
      assert.deepEqual(await rowsOf(through, 'SELECT 1'), [[1]]);
    });

  test('a file of the server and XML are refused', async () => {
    for (const sql of ["LOAD DATA INFILE 'f' INTO TABLE items", "LOAD XML LOCAL INFILE 'f' INTO TABLE items"])
      assert.match((await load(through, sql, '')).message ?? '', /sharded table "items"/);
    assert.deepEqual(await rowsOf(through, 'SELECT 1'), [[1]]);
  });
});

describe('LOAD DATA LOCAL INFILE into a reference table', () => {
  const sql = `LOAD DATA LOCAL INFILE 'f' INTO TABLE countries FIELDS TERMINATED BY ',' ENCLOSED BY '"' IGNORE 1 LINES`;

  test('every shard has the whole file, and the answer is that of one server', async () => {
    await empty('countries');
    const file = 'code,name\nat,"Austria\nFelix"\nde,Germany\nde,again\nch\n';
    assert.deepEqual(await load(through, sql, file), await load(straight, sql, file));
    const all = 'SELECT * FROM countries ORDER BY code';
    for (const shard of shards) assert.deepEqual(await rowsOf(shard, all), await rowsOf(straight, all));
  });

  test('a moment that each shard would fill in is refused', async () => {
    const moments = "LOAD DATA LOCAL INFILE 'f' INTO TABLE moments FIELDS TERMINATED BY ','";
    assert.match((await load(through, moments, '1,2024-01-01\n2\n')).message ?? '', /row 2 .*"at"/);
    for (const shard of shards) assert.deepEqual(await rowsOf(shard, 'SELECT * FROM moments'), []);
    assert.equal((await load(through, moments, '1,2024-01-01\n2,2024-01-02')).affectedRows, 2);
    for (const shard of shards) assert.equal((await rowsOf(shard, 'SELECT * FROM moments')).length, 2);
  });
});
