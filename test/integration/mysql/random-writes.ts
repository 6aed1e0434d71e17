import type { Statement } from '../differential.js';
import type { Lot } from './random-lot.js';

export function insert(lot: Lot): Statement {
  const verb = lot.random.pick([
    'INSERT INTO',
    'INSERT INTO',
    'INSERT IGNORE INTO',
    'INSERT IGNORE',
    'REPLACE INTO',
  ]);
  const some = lot.random.pick([
    ['k', 'n', 'label', 'price', 'raw'],
    ['n', 'k', 'ok', 'weight', 'kind', 'marks'],
    ['k', 'n', 'seen', 'label', 'tag', 'wake'],
    ['k', 'n', 'big', 'flags', 'born', 'latin', 'stamp'],
  ]);
  const columns = verb === 'REPLACE INTO' ? [...some, 'remark'] : some;
  const returning = lot.random.pick(['', '', '', ' RETURNING *', ' RETURNING k, n, upper(label) AS u']);
  if (lot.random.chance(15)) {
    const set = columns.map((column) => `${column} = ${lot.value(column)}`);
    return { sql: `${verb} items SET ${set.join(', ')}${returning}`, isOrdered: true };
  }
  const rows = Array.from(
    { length: lot.random.pick([1, 1, 2, 5]) },
    () => `(${columns.map((column) => lot.value(column)).join(', ')})`,
  );
  return {
    sql: `${verb} items (${columns.join(', ')}) VALUES ${rows.join(', ')}${returning}`,
    // Nobody says which rows were left out.
    isOrdered: !verb.includes('IGNORE'),
  };
}

export function upsert(lot: Lot): Statement {
  const row = () => `(${lot.key()}, ${lot.value('label')}, ${lot.value('region')})`;
  const rows = Array.from({ length: lot.random.pick([1, 1, 3]) }, row);
  const update = lot.random.pick([
    () => "name = concat(VALUES(name), '!'), region = VALUES(region)",
    () => 'visits = visits + 1',
    () => `name = ${lot.value('label')}`,
    () => 'name = name',
    () => 'k = k, visits = 0',
    () => 'k = VALUES(k) + 1',
  ])();
  const returning = lot.random.pick(['', '', ' RETURNING k, name, visits']);
  return {
    sql: `INSERT INTO owners (k, name, region) VALUES ${rows.join(', ')} ON DUPLICATE KEY UPDATE ${update}${returning}`,
    isOrdered: true,
  };
}

/** Into tables whose rows get numbers. */
export function numbered(lot: Lot): Statement {
  const row = () => `(${lot.value('page')}, ${lot.key()})`;
  const note = () => `(${lot.key()}, ${lot.value('label')})`;
  const rows = (make: () => string) => Array.from({ length: lot.random.pick([1, 2, 4]) }, make).join(', ');
  const sql = lot.random.pick([
    () => `INSERT INTO visits (page, k) VALUES ${rows(row)}`,
    () => `INSERT INTO visits (page, k) VALUES ${rows(row)} RETURNING id, page`,
    () => `INSERT INTO visits SET page = ${lot.value('page')}`,
    () => `INSERT INTO visits (id, page) VALUES (NULL, ${lot.value('page')})`,
    () => `INSERT INTO visits () VALUES ()`,
    () => `INSERT INTO notes (k, note) VALUES ${rows(note)}`,
    () => `SELECT count(*), min(id), max(id) FROM visits`,
    () => `SELECT * FROM visits WHERE id = last_insert_id()`,
    () => `UPDATE visits SET page = ${lot.value('page')} WHERE id = ${lot.number(30)}`,
    () => `DELETE FROM visits WHERE id = ${lot.number(30)}`,
    () => `SELECT note, count(*) FROM notes GROUP BY note ORDER BY note`,
  ])();
  return { sql, isOrdered: true };
}

/** A key that is a text and compared without regard to case. */
export function docs(lot: Lot): Statement {
  const slug = () => lot.value('slug');
  const sql = lot.random.pick([
    () => `SELECT * FROM docs WHERE slug = ${slug()}`,
    () => `SELECT hits, body FROM docs WHERE slug IN (${slug()}, ${slug()}, ${slug()}) ORDER BY slug`,
    () => `INSERT INTO docs (slug, body) VALUES (${slug()}, 'new'), (${slug()}, 'newer')`,
    () => `INSERT IGNORE INTO docs (slug, body) VALUES (${slug()}, 'new'), (${slug()}, 'newer')`,
    () => `REPLACE INTO docs (slug, body) VALUES (${slug()}, ${lot.unlike()})`,
    () =>
      `INSERT INTO docs VALUES (${slug()}, 'x', 1), (${slug()}, 'y', 2) ON DUPLICATE KEY UPDATE hits = hits + VALUES(hits)`,
    () => `UPDATE docs SET hits = hits + 1 WHERE slug = ${slug()}`,
    () => `DELETE FROM docs WHERE slug = ${slug()} RETURNING hits`,
    () => 'SELECT body, count(*), sum(hits), max(slug) FROM docs GROUP BY body ORDER BY body DESC',
    () => "SELECT count(*) FROM docs WHERE slug > 'doc-2'",
    () => `SELECT slug FROM docs ORDER BY slug DESC${lot.limit()}`,
  ])();
  return { sql, isOrdered: true };
}

export function update(lot: Lot): Statement {
  // Of one row only: whether moving many rows over each other violates a unique key depends on their order on disk.
  if (lot.random.chance(10))
    return {
      sql: `UPDATE items SET n = n + 1 WHERE k = ${lot.key()} AND n = ${lot.number(12)}`,
      isOrdered: true,
    };
  const column = lot.random.pick([
    'label',
    'tag',
    'price',
    'weight',
    'seen',
    'raw',
    'kind',
    'big',
    'stamp',
    'wake',
  ]);
  const set = lot.random.pick([
    () => `${column} = ${lot.value(column)}`,
    () => `${column} = ${lot.value(column)}`,
    () => 'price = price + 1',
    () => 'ok = NOT ok',
    () => `label = concat(tag, 'u'), tag = label`,
    () => `k = ${lot.key()}`,
    () => 'k = k + 1',
    () => 'k = k',
    () => "weight = 'x'",
    () => 'label = DEFAULT, price = DEFAULT(price)',
  ])();
  const order = lot.random.chance(20) ? ` ORDER BY k, n DESC LIMIT ${lot.number(4)}` : '';
  return {
    sql: `UPDATE${lot.random.pick(['', '', ' IGNORE'])} items SET ${set}${lot.and(lot.where())}${order}`,
    isOrdered: true,
  };
}

export function remove(lot: Lot): Statement {
  const where = lot.random.pick([
    () => `k = ${lot.key()}`,
    () => `k = ${lot.key()} AND n < 4`,
    () => `n = ${lot.number(12)} AND ${lot.condition()}`,
    () => `k IN (${lot.keys()}) AND n > 3`,
    () => `k = ${lot.key()} ORDER BY n DESC LIMIT 2`,
    () => 'n = 11 ORDER BY k LIMIT 1',
  ])();
  return {
    sql: `DELETE FROM items WHERE ${where}${lot.random.pick(['', '', ' RETURNING k, n, label'])}`,
    isOrdered: false,
  };
}
