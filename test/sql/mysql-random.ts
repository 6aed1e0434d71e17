/** A generator of numbers from 0 to 1 that gives the same ones for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

const OPERANDS = [
  'a',
  'b',
  'c',
  't.id',
  '1',
  '2.5',
  "'x'",
  'NULL',
  'TRUE',
  '-3',
  "x'41'",
  '(a + 1)',
  '(SELECT 1)',
  'ABS(b)',
  'IF(a, b, 1)',
];
const OPERATORS = [
  'OR',
  '||',
  'XOR',
  'AND',
  '&&',
  '=',
  '<=>',
  '<',
  '>=',
  '<>',
  '!=',
  '|',
  '&',
  '<<',
  '>>',
  '+',
  '-',
  '*',
  '/',
  'DIV',
  '%',
  'MOD',
  '^',
  'LIKE',
  'NOT LIKE',
  'REGEXP',
  'NOT REGEXP',
  'SOUNDS LIKE',
];
const PREFIXES = ['NOT', '!', '-', '~', '+', 'BINARY', '- -', 'NOT NOT'];
const SUFFIXES = [
  'IS NULL',
  'IS NOT NULL',
  'IS TRUE',
  'IS NOT FALSE',
  'IS UNKNOWN',
  'IN (1, 2)',
  'NOT IN (a, b)',
  'BETWEEN 1 AND 5',
  'NOT BETWEEN a AND b + 1',
  'COLLATE utf8mb4_bin',
  '+ INTERVAL 1 DAY',
  'IN (SELECT a FROM u)',
  '= ANY (SELECT a FROM u)',
  'BETWEEN a AND b AND c',
];

function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}

/** Operands, operators, prefixes and suffixes in any order that a grammar might allow, without parentheses that would say what is meant. */
export function randomExpression(random: () => number): string {
  const words: string[] = [];
  const count = 2 + Math.floor(random() * 4);
  for (let index = 0; index < count; index++) {
    if (index > 0) words.push(pick(random, OPERATORS));
    if (random() < 0.2) words.push(pick(random, PREFIXES));
    words.push(pick(random, OPERANDS));
    if (random() < 0.2) words.push(pick(random, SUFFIXES));
  }
  return words.join(' ');
}
