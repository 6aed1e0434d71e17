import { createHash } from 'node:crypto';

/** How the shop's tables are declared to Ringferry. */
export const SHOP_TABLES = {
  customers: { key: 'id' },
  orders: { key: 'customer_id' },
  order_items: { key: 'customer_id' },
  countries: { reference: true },
} as const;

export const COUNTRIES: readonly (readonly [code: string, name: string])[] = [
  ['AR', 'Argentina'],
  ['AT', 'Austria'],
  ['BR', 'Brazil'],
  ['CA', 'Canada'],
  ['CL', 'Chile'],
  ['CZ', 'Czechia'],
  ['DE', 'Germany'],
  ['DK', 'Denmark'],
  ['EG', 'Egypt'],
  ['ES', 'Spain'],
  ['FI', 'Finland'],
  ['FR', 'France'],
  ['GB', 'United Kingdom'],
  ['GR', 'Greece'],
  ['IE', 'Ireland'],
  ['IN', 'India'],
  ['IS', 'Iceland'],
  ['IT', 'Italy'],
  ['JP', 'Japan'],
  ['KE', 'Kenya'],
  ['KR', 'South Korea'],
  ['MA', 'Morocco'],
  ['MX', 'Mexico'],
  ['NG', 'Nigeria'],
  ['NL', 'Netherlands'],
  ['NO', 'Norway'],
  ['NZ', 'New Zealand'],
  ['PL', 'Poland'],
  ['PT', 'Portugal'],
  ['SE', 'Sweden'],
  ['US', 'United States'],
  ['ZA', 'South Africa'],
];

const FIRST_NAMES = [
  'Ada',
  'Björn',
  'Chloé',
  'Deniz',
  'Emeka',
  'Fatima',
  'Grace',
  'Hedy',
  'Ivan',
  'Jun',
  'Kofi',
  'Lucía',
  'Mei',
  'Nils',
  'Oluchi',
  'Petra',
];
const LAST_NAMES = [
  'Andersson',
  'Boole',
  'Curie',
  'Dijkstra',
  'Eze',
  'Ferreira',
  'Gödel',
  'Hopper',
  'Ito',
  'Jensen',
  'Kovács',
  'Lovelace',
  'Mbeki',
  "O'Neil",
  'Östlund',
  'Pereira',
];
const PRODUCTS = [
  'lamp',
  'kettle',
  'bicycle',
  'notebook',
  'coat',
  'chair',
  'camera',
  'teapot',
  'rucksack',
  'globe',
  'clock',
  'telescope',
];

export interface Customer {
  readonly id: string;
  readonly name: string;
  readonly country: string;
}

export interface OrderItem {
  readonly product: string;
  readonly quantity: number;
  readonly priceCents: number;
}

/** The n-th customer, the same on every run. */
export function customerOf(index: number): Customer {
  const bytes = createHash('md5').update(`customer ${index}`).digest();
  const pick = (list: readonly string[], at: number) => list[bytes[at]! % list.length]!;
  return {
    id: asUuid(bytes),
    name: `${pick(FIRST_NAMES, 1)} ${pick(LAST_NAMES, 2)}`,
    country: COUNTRIES[bytes[3]! % COUNTRIES.length]![0],
  };
}

/** One to four items; `random` gives numbers in [0, 1). */
export function someItems(random: () => number): OrderItem[] {
  return Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({
    product: PRODUCTS[Math.floor(random() * PRODUCTS.length)]!,
    quantity: 1 + Math.floor(random() * 3),
    priceCents: 100 + Math.floor(random() * 20_000),
  }));
}

export function totalOf(items: readonly OrderItem[]): number {
  return items.reduce((total, item) => total + item.quantity * item.priceCents, 0);
}

function asUuid(bytes: Buffer): string {
  const copy = Buffer.from(bytes);
  copy[6] = (copy[6]! & 0x0f) | 0x40;
  copy[8] = (copy[8]! & 0x3f) | 0x80;
  return copy.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
