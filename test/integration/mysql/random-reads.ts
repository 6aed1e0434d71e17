import type { Statement } from '../differential.js';
import type { Lot } from './random-lot.js';

export function select(lot: Lot): Statement {
  const columns = lot.random.pick([
    () => '*',
    () => 'items.*',
    () => 'k, n',
    () => 'n, label, k, raw',
    () => 'k, n, price * 2 AS twice, weight',
    () => `upper(label), k, n, concat(tag, ${lot.put('!')}) AS t`,
    () => 'k, n, count(*) OVER (PARTITION BY k)',
    () => 'k, n, seen, born, wake, stamp',
    () => 'flags, kind, marks, big, latin, k, n',
    () => `k + ${lot.number(3)}, n, 'fixed', NULL`,
    () => 'k AS n, n AS k, label',
    () => 'if(ok, label, tag) AS x, k, n',
  ])();
  const where = lot.and(lot.where());
  const order = lot.random.pick([
    '',
    ' ORDER BY k, n',
    ' ORDER BY items.n DESC, items.k',
    ' ORDER BY price, items.k, items.n',
    ' ORDER BY label, items.k DESC, items.n',
    ' ORDER BY tag DESC, items.n, items.k',
    ' ORDER BY latin, seen DESC, items.n, items.k',
    ' ORDER BY wake, born DESC, items.k, items.n',
    ' ORDER BY big DESC, raw, items.k, items.n',
    ' ORDER BY 1, 2, items.k, items.n',
    ' ORDER BY kind, items.k, items.n',
    ' ORDER BY flags, stamp, items.k, items.n',
    ' ORDER BY weight * 2, items.k, items.n',
  ]);
  const limit = order !== '' && lot.random.chance(50) ? lot.limit() : '';
  return { sql: `SELECT ${columns} FROM items${where}${order}${limit}`, isOrdered: order !== '' };
}

export function aggregate(lot: Lot): Statement {
  const some = Array.from({ length: 1 + lot.random.below(4) }, () =>
    lot.random.pick([
      'count(*)',
      'COUNT( label )',
      'sum(n)',
      'sum(price)',
      'avg(n)',
      'avg(price) AS average',
      'sum(weight)',
      'avg(weight)',
      'min(label)',
      'max(tag)',
      'min(seen)',
      'max(born)',
      'max(wake)',
      'min(big)',
      'sum(big)',
      'max(flags)',
      'min(raw)',
      'max(kind)',
      'max(price)',
      'sum(ok)',
      'sum(price > 10)',
      'bit_or(flags)',
      'count(DISTINCT label)',
      'max(k) - min(k)',
      'coalesce(sum(price), 0)',
      'group_concat(n)',
      'std(n)',
      'sum(NULL)',
      'count(if(ok, 1, NULL))',
      'min(stamp)',
    ]),
  );
  return { sql: `SELECT ${some.join(', ')} FROM items${lot.and(lot.where())}`, isOrdered: true };
}

export function group(lot: Lot): Statement {
  const by = lot.random.pick([
    'label',
    'tag',
    'latin',
    'ok',
    'n',
    'k',
    'label, ok',
    'n % 3',
    'year(seen)',
    'raw',
    'kind',
    'price',
    'seen',
    'k, label',
  ]);
  const having = lot.random.pick([
    () => '',
    () => '',
    () => ` HAVING count(*) > ${lot.number(5)}`,
    () => ' HAVING sum(n) > 10 AND count(*) < 30',
    () => ' HAVING total > 50',
    () => ' HAVING avg(n) > 3',
  ])();
  const order = lot.random.pick(['', ` ORDER BY ${by}`, ` ORDER BY count(*) DESC, ${by}`]);
  // With LIMIT 0 a server plans otherwise, and tells other columns.
  const limit = order !== '' && lot.random.chance(30) ? lot.limit(1) : '';
  const aggregates = lot.random.pick([
    'count(*), sum(price) AS total, avg(n), max(seen)',
    'sum(weight) AS total, min(born)',
    'sum(price) total, max(label)',
  ]);
  return {
    sql: `SELECT ${by}, ${aggregates} FROM items${lot.where()} GROUP BY ${by}${having}${order}${limit}`,
    isOrdered: order !== '',
  };
}

export function join(lot: Lot): Statement {
  const tables = lot.random.pick([
    'items i JOIN owners o ON o.k = i.k',
    'items i JOIN owners o USING (k)',
    'items i NATURAL JOIN owners o',
    'owners o LEFT JOIN items i ON i.k = o.k',
    'owners o LEFT JOIN items i ON i.k = o.k AND i.n = 2',
    'items i RIGHT JOIN owners o ON i.k = o.k',
    'items i STRAIGHT_JOIN owners o ON o.k = i.k',
    'items i JOIN owners o ON o.k = i.n',
    'owners o JOIN regions r ON r.region = o.region',
    'items i, owners o WHERE i.k = o.k',
    'owners o LEFT JOIN regions r USING (region)',
    'regions r LEFT JOIN owners o USING (region)',
    'owners o JOIN settings s ON s.value = o.k',
    'items i JOIN notes o ON o.k = i.k',
  ]);
  const prefix = / i\b/.test(tables) ? 'i' : 'o';
  const key = `${prefix}.k = ${lot.key()}`;
  const where = lot.random.chance(60) ? (tables.includes('WHERE') ? ` AND ${key}` : ` WHERE ${key}`) : '';
  return lot.random.pick<() => Statement>([
    () => ({ sql: `SELECT count(*), min(${prefix}.k) FROM ${tables}${where}`, isOrdered: true }),
    () => ({ sql: `SELECT * FROM ${tables}${where}`, isOrdered: false }),
    () => ({
      sql: `SELECT ${prefix}.k, count(*) FROM ${tables}${where} GROUP BY ${prefix}.k ORDER BY ${prefix}.k`,
      isOrdered: true,
    }),
  ])();
}

export function distinct(lot: Lot): Statement {
  const column = lot.random.pick([
    'label',
    'tag',
    'ok',
    'n',
    'label, ok',
    'k',
    'raw',
    'n % 4',
    'latin, kind',
  ]);
  const order = lot.random.chance(70) ? ` ORDER BY ${column}` : '';
  return {
    sql: `SELECT DISTINCT ${column} FROM items${lot.where()}${order}`,
    isOrdered: order !== '',
  };
}
